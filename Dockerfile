# syntax=docker/dockerfile:1

# The playground's page, which the gateway's binary embeds.
FROM node:22-bookworm-slim AS playground
WORKDIR /src/playground
COPY playground/package.json playground/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY playground/ ./
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=playground /src/playground/dist playground/dist
# The target folder is a cache and not part of the layer, so the binaries are copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked -p switchboard -p switchboard-subgraphs \
    && install -D -t /out target/dist/switchboard target/dist/switchboard-subgraphs \
    && mkdir -p /empty

# glibc, certificates and a user who is not root; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
COPY schema/ /etc/switchboard/
# What waits to be delivered outlives the container in a volume; the user may write there.
COPY --from=build --chown=nonroot:nonroot /empty /var/lib/switchboard
VOLUME /var/lib/switchboard
# Inside a container the loopback address would be reachable by nobody.
# The admin port stays on it: anywhere else it needs tokens (docs/edge.md).
ENV SWITCHBOARD_LISTEN=0.0.0.0:4000 \
    SWITCHBOARD_QUEUE=/var/lib/switchboard/queue
EXPOSE 4000
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s \
    CMD ["/usr/local/bin/switchboard-subgraphs", "probe", "http://127.0.0.1:4000/health"]
ENTRYPOINT ["/usr/local/bin/switchboard"]
CMD ["serve", "--config", "/etc/switchboard/switchboard.yaml"]
