# syntax=docker/dockerfile:1

# Builds with the distribution's C library, so that the result runs on the small image below.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /slipway
COPY . .
RUN cargo build --release --locked --bin slipway && strip target/release/slipway

FROM debian:bookworm-slim
# Certificates for TLS to PostgreSQL; nothing else is needed at run time.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/slipway --create-home slipway
COPY --from=build /slipway/target/release/slipway /usr/local/bin/slipway
USER slipway
ENV SLIPWAY_LISTEN=0.0.0.0:8080 SLIPWAY_DATA_DIR=/var/lib/slipway
VOLUME /var/lib/slipway
EXPOSE 8080
ENTRYPOINT ["slipway"]
CMD ["serve"]
