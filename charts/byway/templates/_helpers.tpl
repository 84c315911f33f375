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

{{/* An image's name. Called with the root and the image's values. */}}
{{- define "byway.image" -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end }}
