# Builds the program, and puts it on a slim Debian. The image holds no configuration, no secret and no default for one.
# rust-toolchain.toml is left out on purpose: the image is the toolchain, and rustup would fetch the lints' components.

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build
COPY .cargo .cargo
COPY Cargo.lock Cargo.toml ./
COPY crates crates
COPY migrations migrations
# The caches outlive a build, so a second one compiles only what changed. Debug information stays behind: most of the
# file's size, and no log shows it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked -p strongroom \
    && mkdir /out \
    && strip --strip-debug -o /out/strongroom target/release/strongroom

FROM debian:bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="strongroom" \
      org.opencontainers.image.description="A secrets broker: keeps secrets, and can prove who did what" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY LICENSE /usr/share/doc/strongroom/LICENSE
# Whom to trust when a database or a server is reached by TLS. Taken from the build image: nothing is installed here.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/strongroom /usr/local/bin/strongroom
COPY --chmod=0555 docker/entrypoint.sh /usr/local/bin/strongroom-entrypoint

# The embedded store's place. A new volume that is mounted here takes over the owner.
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/strongroom
# By number, so that a platform can see that it is not root.
USER 65532:65532
EXPOSE 8200
# Alive, not ready: a node whose database is away must not be restarted for it. A proxy asks for /ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/strongroom", "health", "--alive"]
ENTRYPOINT ["/usr/local/bin/strongroom-entrypoint"]
CMD ["server"]
