{{- define "freddy.labels" -}}
app.kubernetes.io/name: freddy
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "freddy.selector" -}}
app.kubernetes.io/name: freddy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "freddy.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "freddy.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "freddy.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{- /* What every process reads. The two that it cannot do without are named: a pod whose Secret lacks them says so. */ -}}
{{- define "freddy.environment" -}}
envFrom:
  - secretRef:
      name: {{ .Values.secret }}
env:
  - name: FREDDY_DATABASE
    valueFrom:
      secretKeyRef:
        name: {{ .Values.secret }}
        key: FREDDY_DATABASE
  - name: FREDDY_SECRET_KEY
    valueFrom:
      secretKeyRef:
        name: {{ .Values.secret }}
        key: FREDDY_SECRET_KEY
  - name: FREDDY_CONFIG
    value: /etc/freddy/freddy.toml
  - name: FREDDY_HOME
    value: /var/lib/freddy
  - name: FREDDY_HOST
    value: 0.0.0.0
  - name: FREDDY_PORT
    value: "8000"
  - name: FREDDY_DEV_MODE
    value: "off"
  - name: FREDDY_LOG_FORMAT
    value: json
  - name: FREDDY_SHUTDOWN_SECONDS
    value: {{ .Values.shutdownSeconds | quote }}
{{- end }}

{{- /* The port `http` of servers and of workers answers them. */ -}}
{{- define "freddy.probes" -}}
startupProbe:
  httpGet:
    path: /health/live
    port: http
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet:
    path: /health/ready
    port: http
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet:
    path: /health/live
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{- define "freddy.mounts" -}}
volumeMounts:
  - name: home
    mountPath: /var/lib/freddy
  - name: tmp
    mountPath: /tmp
  - name: settings
    mountPath: /etc/freddy
    readOnly: true
{{- end }}

{{- define "freddy.volumes" -}}
volumes:
  # Nothing in it has to outlive the pod: state is in PostgreSQL, files are in the bucket.
  - name: home
    emptyDir: {}
  - name: tmp
    emptyDir: {}
  - name: settings
    configMap:
      name: {{ .Release.Name }}-settings
{{- end }}
