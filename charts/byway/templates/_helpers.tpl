{{/* Labels of everything. Called with the root and the component, e.g. (list $ "byway-agent"). */}}
{{- define "byway.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{ include "byway.selector" . }}
{{- end }}

{{/* What pods are selected by: never another one, since selectors are immutable. */}}
{{- define "byway.selector" -}}
app.kubernetes.io/name: byway
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* An image's name. Called with the root and the program's image values. */}}
{{- define "byway.image" -}}
{{- $common := (index . 0).Values.image -}}
{{- $own := index . 1 -}}
{{- $tag := coalesce $own.tag $common.tag (index . 0).Chart.AppVersion -}}
{{ $common.registry | default "localhost" | trimSuffix "/" }}/{{ $own.repository }}{{ if $own.digest }}@{{ $own.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{/* The user of everything but the agent. */}}
{{- define "byway.nobody" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* A container that needs nothing: Pod Security "restricted". */}}
{{- define "byway.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* A pod of the controller's image that does one thing and ends. Called with the root, an account and arguments. */}}
{{- define "byway.once" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values.controller -}}
serviceAccountName: {{ index . 1 }}
automountServiceAccountToken: true
enableServiceLinks: false
restartPolicy: Never
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
nodeSelector: {{- merge (dict "kubernetes.io/os" "linux") $values.nodeSelector | toYaml | nindent 2 }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "byway.nobody" $root | nindent 2 }}
containers:
  - name: {{ index . 1 }}
    image: {{ include "byway.image" (list $root $values.image) }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{- toYaml (index . 2) | nindent 6 }}
    env:
      - name: POD_NAMESPACE
        valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
      - { name: RUST_LOG, value: {{ $values.log | quote }} }
    resources:
      requests: { cpu: 10m, memory: 32Mi }
      limits: { memory: 128Mi }
    securityContext: {{- include "byway.restricted" $root | nindent 6 }}
{{- end }}

{{/* Whether a namespace's labels are as a selector wants them, in CEL. Called with the selector. */}}
{{- define "byway.namespaceTest" -}}
{{- $tests := list -}}
{{- range $key, $value := .matchLabels -}}
{{- $tests = append $tests (printf "variables.labels[?%s].orValue(\"\\n\") == %s" (toJson $key) (toJson $value)) -}}
{{- end -}}
{{- range .matchExpressions -}}
{{- $label := printf "variables.labels[?%s].orValue(\"\\n\")" (toJson .key) -}}
{{- $values := .values | default list | toJson -}}
{{- if eq .operator "In" -}}{{- $tests = append $tests (printf "%s in %s" $label $values) -}}
{{- else if eq .operator "NotIn" -}}{{- $tests = append $tests (printf "!(%s in %s)" $label $values) -}}
{{- else if eq .operator "Exists" -}}{{- $tests = append $tests (printf "%s in variables.labels" (toJson .key)) -}}
{{- else -}}{{- $tests = append $tests (printf "!(%s in variables.labels)" (toJson .key)) -}}
{{- end -}}
{{- end -}}
{{ $tests | default (list "true") | join " && " }}
{{- end }}

{{/* A limit, in CEL: that of the request's namespace, else the common one. Called with the policies' values and its name. */}}
{{- define "byway.limit" -}}
{{- $name := index . 1 -}}
{{- range $namespace, $limits := (index . 0).namespaces -}}
{{- if hasKey $limits $name }}request.namespace == {{ toJson $namespace }} ? {{ get $limits $name | toJson }} : {{ end -}}
{{- end -}}
{{ get (index . 0) $name | toJson }}
{{- end }}

{{/* What the Job before an uninstall needs is there while it runs, and no longer; what failed stays, so that its log can be
     read. Called with a weight. */}}
{{- define "byway.uninstallHook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
