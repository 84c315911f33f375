#!/bin/sh
# A preview for each pull request: `preview.sh start` on a push, `preview.sh stop` when it is closed;
# `preview.sh auto` looks which of them it is. For GitHub (action.yml) and GitLab (gitlab.yml);
# docs/pipelines.md tells what the variables BYWAY_... mean. Needs kubectl-preview, jq and curl.
set -eu

main() {
  forge=no
  [ -z "${GITHUB_ACTIONS:-}" ] || forge=github
  [ -z "${GITLAB_CI:-}" ] || forge=gitlab
  for program in kubectl-preview jq curl; do
    command -v "$program" >/dev/null || fail "$program is not on PATH, see docs/pipelines.md"
  done
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "${forge}_event"
  key=${BYWAY_KEY:-$made}
  case $key in
    '') fail "this job is of no pull request, which a key could be made of: give a key" ;;
    *[!A-Za-z0-9._-]*) fail "a key has letters, digits, and . _ - only, at most 63; this is $key" ;;
  esac
  case ${1:-auto} in
    start | stop) "$1" ;;
    auto) "$wanted" ;;
    *) fail "$1: it is start, stop or auto" ;;
  esac
}

# Starts the preview, or changes it. The pull request is told how it went, also when it did not.
start() {
  set -- -k "$key" -o json
  [ -z "${BYWAY_FILE:-}" ] || set -- "$@" -f "$BYWAY_FILE"
  [ -z "${BYWAY_TARGET:-}" ] || set -- "$@" -t "$BYWAY_TARGET"
  [ -z "${BYWAY_IMAGE:-}" ] || set -- "$@" -i "$BYWAY_IMAGE"
  [ -z "${BYWAY_NAMESPACE:-}" ] || set -- "$@" -n "$BYWAY_NAMESPACE"
  [ -z "${BYWAY_TTL:-}" ] || set -- "$@" --ttl "$BYWAY_TTL"
  while IFS= read -r argument; do
    [ -z "$argument" ] || set -- "$@" "$argument"
  done <<LINES
${BYWAY_ARGUMENTS:-}
LINES
  mkfifo "$work/pipe"
  kubectl-preview start "$@" >"$work/pipe" &
  job=$!
  tee "$work/events" <"$work/pipe" | jq --unbuffered -r '"\(.event): \(.message)", (.fix // empty | "  \(.)")'
  code=0
  wait "$job" || code=$?

  # Where the Preview is, which a file may say.
  namespace=$(jq -rs 'map(.namespace // empty) | last // ""' "$work/events")
  header=$(jq -rs 'map(.headers[0]? // empty) | last // ""' "$work/events")
  # A link and the extension send the key as it is sent by default: a match of its own looks elsewhere.
  url=
  [ "$header" != "baggage: byway-key=$key" ] || link
  output key "$key"
  output url "$url"
  output header "$header"
  describe "$namespace" >"$work/previews" || : # It has said why, and what is known of the start is told.
  jq -rn --slurpfile events "$work/events" --slurpfile previews "$work/previews" "$WORDS$STARTED" \
    --arg key "$key" --arg url "$url" --arg header "$header" --arg commit "$commit" --argjson code "$code" \
    >"$work/text"
  tell
  return "$code"
}

# Ends all previews of the key, and says so where something was said before.
stop() {
  kubectl-preview stop -k "$key" ${BYWAY_NAMESPACE:+-n "$BYWAY_NAMESPACE"}
  jq -rn "$WORDS$STOPPED" --arg key "$key" >"$work/text"
  tell_only_again=yes
  tell
}

describe() {
  [ -z "$1" ] || kubectl-preview status -k "$key" -n "$1" -o json
}

# The address that a browser opens: the user's own, with the key as a parameter.
link() {
  [ -n "${BYWAY_URL:-}" ] || return 0
  url=${BYWAY_URL%%#*}
  fragment=${BYWAY_URL#"$url"}
  case $url in *'?'*) url="$url&byway-key=$key$fragment" ;; *) url="$url?byway-key=$key$fragment" ;; esac
}

# A result for later steps: a line of a file, where no value may have a second one.
output() {
  case $2 in *"
"*) fail "$1 has more than one line" ;; esac
  "${forge}_output" "$1" "$2"
}

# One comment for each key, which is found again by its first line, and edited.
tell() {
  [ "${BYWAY_COMMENT:-true}" = true ] && [ -n "$request" ] || return 0
  if [ -z "${BYWAY_TOKEN:-}" ]; then
    warn "no token: nothing is told in the pull request"
    return 0
  fi
  mark="<!-- byway $key -->"
  jq -n --arg mark "$mark" --rawfile text "$work/text" '{body: ($mark + "\n" + $text)}' >"$work/comment"
  if find_comment; then
    [ -n "$found" ] || [ -z "${tell_only_again:-}" ] || return 0
    if "${forge}_write" "$found"; then return 0; fi
  fi
  # The preview is there without it: forges give jobs of a fork a token that may only read.
  warn "the comment could not be written: $(tr '\n' ' ' <"$work/answer" | cut -c 1-300)"
}

# Its number, in `found`; empty if there is none. Only of who writes now: anybody could begin a comment like
# that.
find_comment() {
  found=
  "${forge}_me" || return 1
  page=1
  while :; do
    call GET "$comments?per_page=100&page=$page" || return 1
    found=$(jq -r --arg mark "$mark" --arg me "$me" 'map(
      select((.user // .author | .login // .username) == $me and (.body | startswith($mark)))
    ) | first | .id // ""' "$work/answer")
    [ -z "$found" ] && [ "$(jq length "$work/answer")" = 100 ] || return 0
    page=$((page + 1))
  done
}

new_comment() {
  call POST "$comments" "$work/comment"
}

# METHOD ADDRESS [FILE]: the answer is in a file. The token is not for everybody who lists processes.
call() {
  set -- "$1" "$2" ${3:+--data-binary "@$3"}
  method=$1 address=$2
  shift 2
  : >"$work/answer"
  status=$(printf 'header = "%s"\n' "$authorization" | curl -sS -K - -X "$method" --retry 2 --max-time 30 \
    -H 'content-type: application/json' -o "$work/answer" -w '%{http_code}' "$@" "$address") || return 1
  case $status in 2??) ;; *) return 1 ;; esac
}

github_event() {
  request=$(jq -r '.pull_request.number // ""' "$GITHUB_EVENT_PATH")
  commit=$(jq -r '.pull_request.head.sha // ""' "$GITHUB_EVENT_PATH")
  if [ "$(jq -r '.action // ""' "$GITHUB_EVENT_PATH")" = closed ]; then wanted=stop; else wanted=start; fi
  commit=${commit:-${GITHUB_SHA:-}}
  made=${request:+pr-$request}
  issues=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues
  comments=$issues/$request/comments
  authorization="authorization: Bearer ${BYWAY_TOKEN:-}"
}

# A job's own token may not ask whose it is.
github_me() {
  if call GET "$GITHUB_API_URL/user"; then
    me=$(jq -r .login "$work/answer")
  else
    me='github-actions[bot]'
    [ "$status" = 403 ]
  fi
}

github_write() {
  if [ -z "$1" ]; then new_comment; else call PATCH "$issues/comments/$1" "$work/comment"; fi
}

github_output() {
  printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"
}

gitlab_event() {
  request=${CI_MERGE_REQUEST_IID:-}
  commit=${CI_COMMIT_SHA:-}
  wanted=start
  made=${request:+mr-$request}
  comments=$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$request/notes
  authorization="private-token: ${BYWAY_TOKEN:-}"
  rm -f byway.env
}

gitlab_me() {
  call GET "$CI_API_V4_URL/user" && me=$(jq -r .username "$work/answer")
}

gitlab_write() {
  if [ -z "$1" ]; then new_comment; else call PUT "$comments/$1" "$work/comment"; fi
}

# A report of the kind dotenv, in the folder of the job.
gitlab_output() {
  printf 'BYWAY_PREVIEW_%s=%s\n' "$(printf %s "$1" | tr '[:lower:]' '[:upper:]')" "$2" >>byway.env
}

# Somewhere else: the key is given, and the results are lines of the log.
no_event() {
  request='' commit='' wanted=start made=''
}

no_output() {
  printf '%s=%s\n' "$1" "$2"
}

warn() {
  if [ "$forge" = github ]; then echo "::warning::byway: $*"; else echo "byway: $*" >&2; fi
}

fail() {
  if [ "$forge" = github ]; then echo "::error::byway: $*"; else echo "byway: $*" >&2; fi
  exit 2
}

# Texts come from images, workloads and whoever names them: as HTML's entities they are no Markdown. An @
# would still call somebody, but not in code.
WORDS='
def plain: tostring | gsub("\\s+"; " ") | gsub("(?<it>[^A-Za-z0-9 .,:;/()=+-])"; "&#\(.it | explode[0]);");
def text: plain | gsub("&#64;"; "&#64;&#8203;");
def code: "<code>\(plain)</code>";
def moment: sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601;
def minute: strftime("%Y-%m-%d %H:%M UTC");
def left: (. - now) / 60 | floor | if . < 1 then "under a minute" elif . < 120 then "\(.) minutes"
  elif . < 2880 then "\(. / 60 | floor) hours" else "\(. / 1440 | floor) days" end;
def until: if . then moment | "\(minute) (\(left) from now)" else "it is stopped" end;
'

# shellcheck disable=SC2016
STARTED='
def row: "| \(join(" | ")) |";
def target: if . then "\(.kind | ascii_downcase)/\(.name)" | code else "nothing" end;
def preview: [("\(.metadata.namespace)/\(.metadata.name)" | code), (.spec.target | target),
  (.spec.image // "" | code), (.status.phase // "Pending" | text), (.status.expiresAt | until)] | row;
def conditions: .metadata.name as $name | .status.conditions[]?
  | [($name | code), (.type | text), (.status | text), ("\(.reason): \(.message)" | text)] | row;

($previews | map(.items // []) | add // []) as $all
| ($events | map(select(.event == "failed")) | last) as $failed
| (if $code != 0 then ["❌", "is not ready"]
   elif $events | any(.event == "ready") then ["✅", "is ready"]
   else ["⏳", "is on its way"] end) as [$sign, $state]
| "### \($sign) Preview \($key | code) \($state)",
  "",
  ($failed // empty | (.message | text), (.fix // empty | "**What to do:** \(text)"), ""),
  if $code != 0 and $failed == null then "The log of the job says why.", "" else empty end,
  if $url == "" then empty else "[Open it](<\($url)>)", "" end,
  if $header == "" then empty else "Send it \($header | code).", "" end,
  if $header == "baggage: byway-key=\($key)" then "In a browser: the extension with this key.", "" else empty end,
  if $all == [] then empty else
    (["preview", "of", "image", "state", "until"], ["---", "---", "---", "---", "---"] | row),
    ($all[] | preview),
    "", "<details><summary>Conditions</summary>", "",
    (["preview", "condition", "", "what it says"], ["---", "---", "---", "---"] | row),
    ($all[] | conditions),
    "", "</details>", ""
  end,
  "<sub>\(now | minute)\(if $commit == "" then "" else ", commit \($commit[0:12] | text)" end)</sub>"
'

# shellcheck disable=SC2016
STOPPED='"### Preview \($key | code) has ended", "", "<sub>\(now | minute)</sub>"'

main "$@" </dev/null
