# What the pods run in: Python and requirements.txt. The code is not in it, Metaflow's package brings that.
#     docker build -t REGISTRY/shelfsort . && docker push REGISTRY/shelfsort     (prints the digest for the config)
# The base by the digest of its index, which holds both amd64 and arm64. There is no registry where this was written: it is
# the digest that a dozen public projects have for this tag. `docker buildx imagetools inspect` of the tag prints it; a build
# with a newer base gives its own: --build-arg BASE=python:TAG@sha256:...
ARG BASE=python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1

FROM ${BASE} AS packages
COPY requirements.txt /requirements.txt
# Every requirement has a wheel for Linux, so nothing is compiled and no compiler is needed.
RUN python -m venv /opt/venv && \
    /opt/venv/bin/pip install --no-cache-dir --only-binary :all: -r /requirements.txt

FROM ${BASE}
# The user's number is USER_ID in lib/argo/deployment.py. Metaflow unpacks the code in the folder it starts in, so it needs one
# that is writable; with a read-only root file system that is a mount (config/kubernetes/workflow-defaults.yaml).
RUN useradd --uid 10001 --no-create-home --home-dir /work shelfsort && \
    mkdir /work && chown 10001:10001 /work
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/work \
    USERNAME=shelfsort \
    PYTHONDONTWRITEBYTECODE=1 \
    METAFLOW_SKIP_INSTALL_DEPENDENCIES=1
USER 10001:10001
WORKDIR /work
