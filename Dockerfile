# The bot in a container: `docker build -t parley .`
#
# `slim`, the default target, leaves out torch and transformers and runs the models that Parley's kernels run. `full` has
# them, search by meaning, and PostgreSQL. To have the latter two in `slim`: --build-arg
# EXTRAS="documents postgres semantic socks".
# Neither has a compiler: the kernels are built here for every processor level, and chosen at run time.
ARG PYTHON=python:3.13-slim-bookworm

# The tag is in PYTHON.
# hadolint ignore=DL3006
FROM ${PYTHON} AS build
# What compiles is left behind, so that its version does not matter.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv --without-pip /opt/parley
ENV PIP_PYTHON=/opt/parley/bin/python PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt ./
COPY deploy deploy
ARG EXTRAS="documents socks"
# hadolint ignore=SC2086
RUN python deploy/requirements.py ${EXTRAS} > /tmp/requirements.txt \
    && python -m pip install --constraint constraints.txt --requirement /tmp/requirements.txt
COPY README.md LICENSE ./
COPY config config
COPY core core
COPY bots bots
RUN python -m pip install --no-deps . \
    && /opt/parley/bin/python -P -m core.inference.native.prebuild
# The libraries' own tests are left out. Their symbols stay: strip breaks the libraries that come patched, as numpy's.
RUN find /opt/parley -name tests -type d -prune -exec rm -r {} +

FROM build AS build-full
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -m pip install --no-deps --index-url "${TORCH_INDEX}" "$(grep '^torch==' constraints.txt)" \
    && python -m pip install --constraint constraints.txt ".[documents,postgres,semantic,socks]"

# hadolint ignore=DL3006
FROM ${PYTHON} AS runtime
# The image of Python has no bytecode of the standard library: each of our processes would compile it at its start.
RUN python -m compileall -q -x site-packages "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /data parley \
    && install --directory --owner parley --group parley --mode 700 /data \
    && install --directory /etc/parley
ENV PATH=/opt/parley/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PARLEY_DATA_DIR=/data \
    PARLEY_WEB__HOST=0.0.0.0 \
    PARLEY_WEB__PORT=8080
WORKDIR /etc/parley
USER 10001:10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "/opt/healthcheck.py"]
ENTRYPOINT ["parley"]
CMD ["run"]
COPY deploy/healthcheck.py /opt/healthcheck.py

FROM runtime AS full
COPY --from=build-full /opt/parley /opt/parley

FROM runtime AS slim
COPY --from=build /opt/parley /opt/parley
