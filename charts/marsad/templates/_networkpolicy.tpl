{{/* Parts of templates/networkpolicies.yaml. */}}

{{- define "marsad.np.head" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "marsad.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "marsad.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "marsad.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{- define "marsad.np.peer" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: marsad
      app.kubernetes.io/component: {{ . }}
{{- end -}}

{{- define "marsad.np.metrics" -}}
# Scrapers.
- ports: [{port: {{ .port }}}]
  from: {{- toYaml .root.Values.networkPolicy.metricsFrom | nindent 4 }}
{{- end -}}

{{- define "marsad.np.dns" -}}
# Names.
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ int . }}, protocol: UDP}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{- define "marsad.np.apiServer" -}}
# The API server.
- to: [{ipBlock: {cidr: {{ .Values.networkPolicy.apiServer.cidr }}}}]
  ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {port: {{ int . }}}
    {{- end }}
{{- end -}}

{{- define "marsad.np.traces" -}}
{{- with .Values.tracing.otlpEndpoint }}
# The collector of traces.
- ports: [{port: {{ regexFind "[0-9]+/?$" . | trimSuffix "/" | int }}}]
{{- end }}
{{- end -}}

{{- define "marsad.np.ledger" -}}
# The stream ledger.
{{- if .Values.valkey.enabled }}
- ports: [{port: 6379}]
  to: {{- include "marsad.np.peer" "valkey" | nindent 4 }}
{{- else if .Values.ledger.addresses }}
# Wherever it is: a policy knows no names.
- ports:
    {{- range .Values.ledger.addresses }}
    - {port: {{ splitList ":" . | last | int }}}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "marsad.np.livekit" -}}
# LiveKit's signalling; with HostNetwork it has a node's address and no pod selector finds it.
- ports: [{port: 7880}]
  to:
    {{- if eq .Values.livekit.media.mode "HostNetwork" }}
    {{- range .Values.networkPolicy.nodeCIDRs }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
    {{- else }}
    {{- include "marsad.np.peer" "livekit" | nindent 4 }}
    {{- end }}
{{- end -}}
