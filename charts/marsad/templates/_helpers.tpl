{{- define "marsad.fullname" -}}
{{- .Values.fullnameOverride | default "marsad" -}}
{{- end -}}

{{/* Labels that find an object: contracts.md 14. Argument: dict root, component. */}}
{{- define "marsad.selector" -}}
app.kubernetes.io/name: marsad
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object. Argument: dict root, component. */}}
{{- define "marsad.labels" -}}
{{ include "marsad.selector" . }}
{{ include "marsad.commonLabels" .root }}
{{- end -}}

{{/* Labels of objects that belong to no single component. */}}
{{- define "marsad.commonLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: marsad
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Full image name. Argument: dict root, image (name of a key of images). */}}
{{- define "marsad.image" -}}
{{- $image := index .root.Values.images .image -}}
{{- $tag := $image.tag | default .root.Chart.AppVersion -}}
{{- with .root.Values.images.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{- $image.repository -}}:{{ $tag }}{{ with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* What every pod spec starts with. Argument: dict root, component, values, serviceAccount, token. */}}
{{- define "marsad.podDefaults" -}}
serviceAccountName: {{ include "marsad.fullname" .root }}-{{ .component }}
automountServiceAccountToken: {{ .token }}
enableServiceLinks: false
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "marsad.selector" . | nindent 8 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What Pod Security "restricted" asks of a container, and a read-only root. */}}
{{- define "marsad.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* Environment of every role. */}}
{{- define "marsad.roleEnv" -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- with .Values.tracing.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Ports and probes of every role: /health says that the process lives, /ready that it may take work. */}}
{{- define "marsad.roleProbes" -}}
ports:
  - {name: http, containerPort: 8080}
  - {name: metrics, containerPort: 9090}
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 10
  timeoutSeconds: 3
readinessProbe:
  httpGet: {path: /ready, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
{{- end -}}

{{/* A disruption budget that lets a node drain, one pod at a time. Argument: dict root, component. */}}
{{- define "marsad.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "marsad.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "marsad.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "marsad.selector" . | nindent 6 }}
{{- end -}}

{{/* Argument: dict root, component, reason. */}}
{{- define "marsad.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "marsad.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "marsad.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{- define "marsad.valkeySecret" -}}
{{- .Values.valkey.auth.existingSecret | default (printf "%s-valkey" (include "marsad.fullname" .)) -}}
{{- end -}}

{{/* Where the stream ledger is: the chart's own Valkey, database 1, as LiveKit has 0; or another. */}}
{{- define "marsad.ledgerEnv" -}}
{{- $own := .Values.valkey.enabled }}
- name: VALKEY_ADDR
  value: {{ $own | ternary (printf "%s-valkey:6379" (include "marsad.fullname" .)) (join "," .Values.ledger.addresses) | quote }}
- name: VALKEY_TOPOLOGY
  value: {{ $own | ternary "standalone" (lower .Values.ledger.topology) }}
- name: VALKEY_SERVICE
  value: {{ .Values.ledger.service }}
- name: VALKEY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "marsad.valkeySecret" . }}, key: password}}
- name: VALKEY_DB
  value: {{ eq .Values.ledger.topology "Cluster" | ternary 0 1 | quote }}
- name: LEDGER_REPLICAS
  value: {{ $own | ternary 0 (int .Values.ledger.replicas) | quote }}
- name: LEDGER_UNACKNOWLEDGED
  value: {{ lower .Values.ledger.unacknowledged }}
{{- end -}}

{{/* Numbers of LiveKit's media ports: it must listen on the number that browsers are told. */}}
{{- define "marsad.livekit.tcpPort" -}}
{{- if eq .Values.livekit.media.mode "NodePort" }}{{ int .Values.livekit.media.nodePorts.tcp }}{{ else }}7881{{ end -}}
{{- end -}}
{{- define "marsad.livekit.udpPort" -}}
{{- if eq .Values.livekit.media.mode "NodePort" }}{{ int .Values.livekit.media.nodePorts.udp }}{{ else }}7882{{ end -}}
{{- end -}}
