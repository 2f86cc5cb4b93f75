{{- define "stroke.name" -}}
{{- if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "stroke.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "stroke.labels" -}}
{{ include "stroke.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "stroke.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A number of values is a float, which Go would print as 8.388608e+06. */}}
{{- define "stroke.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* What is no secret, as a map. */}}
{{- define "stroke.settings" -}}
{{- $ours := dict
  "MYSQL_HOST" .Values.database.host
  "MYSQL_PORT" (.Values.database.port | toString)
  "MYSQL_DATABASE" .Values.database.name
  "STROKE_HTTP_PORT" "8000"
  "STROKE_INSECURE" (.Values.access.insecure | toString)
  "STROKE_HTTP_SHUTDOWN_SECONDS" (.Values.shutdown.drainSeconds | toString) -}}
{{- if and .Values.connect.enabled .Values.connect.erasures.enabled -}}
{{- $_ := set $ours "STROKE_ERASURE_WORKER" "pipeline" -}}
{{- end -}}
{{- $settings := dict -}}
{{- range $name, $value := merge $ours .Values.settings -}}
{{- $_ := set $settings $name (include "stroke.text" $value) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* The account at MySQL, from files: the environment is shown by whoever may look at the pod. */}}
{{- define "stroke.account" -}}
- {name: MYSQL_USER_FILE, value: /run/secrets/MYSQL_USER}
- {name: MYSQL_PASSWORD_FILE, value: /run/secrets/MYSQL_PASSWORD}
{{- end -}}

{{/* The first keys of the API, from files too. */}}
{{- define "stroke.keys" -}}
- {name: STROKE_ADMIN_KEY_FILE, value: /run/keys/STROKE_ADMIN_KEY}
- {name: STROKE_METRICS_KEY_FILE, value: /run/keys/STROKE_METRICS_KEY}
{{- end -}}

{{/* What the OpenID provider knows the service by. */}}
{{- define "stroke.oidc" -}}
- {name: STROKE_OIDC_CLIENT_SECRET_FILE, value: /run/oidc/STROKE_OIDC_CLIENT_SECRET}
{{- end -}}

{{- define "stroke.oidc.volume" -}}
- name: oidc
  secret:
    secretName: {{ .Values.access.oidcSecret | quote }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.access.oidcSecretKey | quote }}, path: STROKE_OIDC_CLIENT_SECRET}
{{- end -}}

{{- define "stroke.keys.volume" -}}
- name: keys
  secret:
    secretName: {{ .Values.access.existingSecret | quote }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.access.adminKey | quote }}, path: STROKE_ADMIN_KEY}
      - {key: {{ .Values.access.metricsKey | quote }}, path: STROKE_METRICS_KEY}
{{- end -}}

{{/* The volume with these files: context, name of the Secret. */}}
{{- define "stroke.account.volume" -}}
{{- $top := index . 0 -}}
- name: secrets
  secret:
    secretName: {{ index . 1 | quote }}
    defaultMode: 0440
    items:
      - {key: {{ $top.Values.database.userKey | quote }}, path: MYSQL_USER}
      - {key: {{ $top.Values.database.passwordKey | quote }}, path: MYSQL_PASSWORD}
{{- end -}}

{{/* What every pod of ours has. No value turns any of it off. */}}
{{- define "stroke.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range .Values.image.pullSecrets }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 128Mi}
  # In place of the volume that the image asks for: nothing but /tmp can be written.
  - name: data
    emptyDir: {sizeLimit: 1Mi}
{{- end -}}

{{- define "stroke.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
workingDir: /tmp
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: data, mountPath: /data, readOnly: true}
  - {name: secrets, mountPath: /run/secrets, readOnly: true}
{{- end -}}

{{/* Peers of a network policy from [{namespace, podLabels} or {cidr}]. */}}
{{- define "stroke.peers" -}}
{{- range . }}
{{- if .cidr }}
- ipBlock: {cidr: {{ .cidr | quote }}}
{{- else }}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}
  {{- with .podLabels }}
  podSelector:
    matchLabels: {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Egress to DNS and MySQL. */}}
{{- define "stroke.egress" -}}
- to: {{- include "stroke.peers" (list .Values.networkPolicy.dns) | trim | nindent 4 }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
- to: {{- include "stroke.peers" .Values.networkPolicy.database | trim | nindent 4 }}
  ports:
    - {port: {{ .Values.database.port }}, protocol: TCP}
{{- end -}}

{{- define "stroke.connect" -}}
{{ include "stroke.name" . }}-connect
{{- end -}}

{{/* Names in ${env:...} of all connectors that `env` does not give: files of the Secret. */}}
{{- define "stroke.connect.files" -}}
{{- $names := list -}}
{{- range .Values.connect.connectors -}}
{{- range .config -}}
{{- range regexFindAll "\\$\\{env:[A-Z0-9_]+\\}" . -1 -}}
{{- $names = append $names (. | trimPrefix "${env:" | trimSuffix "}") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $files := list -}}
{{- range $name := $names | uniq | sortAlpha -}}
{{- if not (or (hasKey $.Values.connect.env $name) (has $name $.Values.connect.secretNames)) -}}
{{- $files = append $files $name -}}
{{- end -}}
{{- end -}}
{{- $files | toJson -}}
{{- end -}}

{{/* How a client of Kafka logs in; nothing where brokers ask for nothing, as under compose. */}}
{{- define "stroke.connect.login" -}}
{{- $tls := .Values.connect.tls.existingSecret -}}
{{- $scram := eq .Values.connect.authentication.type "scram-sha-512" -}}
{{- if and $tls $scram }}
security.protocol: SASL_SSL
{{- else if $tls }}
security.protocol: SSL
{{- else if $scram }}
security.protocol: SASL_PLAINTEXT
{{- end }}
{{- if $tls }}
ssl.truststore.type: PEM
ssl.truststore.certificates: ${env:KAFKA_CA_CERTIFICATES}
{{- end }}
{{- if $scram }}
sasl.mechanism: SCRAM-SHA-512
sasl.jaas.config: ${env:KAFKA_SASL_JAAS_CONFIG}
{{- end }}
{{- end -}}

{{/* A connector's config. Strimzi logs the worker in; two connectors have clients of their own. */}}
{{- define "stroke.connect.config" -}}
{{- $top := index . 0 -}}
{{- $connector := index . 1 -}}
{{- $clients := dict
  "io.debezium.connector.mysql.MySqlConnector" (list "schema.history.internal.producer." "schema.history.internal.consumer.")
  "org.apache.iceberg.connect.IcebergSinkConnector" (list "iceberg.kafka.") -}}
{{- $config := deepCopy $connector.config -}}
{{- $login := include "stroke.connect.login" $top | fromYaml -}}
{{- range $client := get $clients $connector.class | default list -}}
{{- range $key, $value := $login -}}
{{- $_ := set $config (print $client $key) $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}
