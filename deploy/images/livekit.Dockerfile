# LiveKit, the SFU.
#   cargo xtask images && buildah bud -f deploy/images/livekit.Dockerfile target/images/livekit
FROM scratch
COPY passwd /etc/passwd
COPY --chmod=1777 tmp/ /tmp/
COPY livekit-server /livekit-server
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/livekit-server"]
