# syntax=docker/dockerfile:1
# Installs the command from a wheel. Run `make wheel`, or put the wheels of a release into build/wheels. Then run
# `docker build -t plexindex .`.
FROM python:3.13-slim
RUN --mount=type=bind,source=build/wheels,target=/wheels --mount=type=bind,source=scripts,target=/scripts \
    PIP_NO_CACHE_DIR=1 sh /scripts/install_wheel.sh /wheels '[cli]'
RUN useradd --uid 1000 --create-home plexindex && install -d -o plexindex -g plexindex -m 700 /data
USER plexindex
ENV PLEXINDEX_CACHE_DIR=/data
VOLUME /data
ENTRYPOINT ["plexindex"]
CMD ["--help"]
