# One image for every process: `reelgraph api`, `reelgraph worker`, `reelgraph migrate` and the other commands.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG PYTHON
RUN python -m venv --without-pip /opt/reelgraph
COPY requirements-runtime.lock .
# Wheels only: nothing is compiled here, so there is no compiler, and no package runs code of its own at a build.
RUN pip --python /opt/reelgraph/bin/python install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
    --require-hashes --only-binary :all: --requirement requirements-runtime.lock
COPY LICENSE /opt/reelgraph/
COPY domain /opt/reelgraph/lib/python${PYTHON}/site-packages/domain
COPY persistence /opt/reelgraph/lib/python${PYTHON}/site-packages/persistence
COPY graph /opt/reelgraph/lib/python${PYTHON}/site-packages/graph
COPY tasks /opt/reelgraph/lib/python${PYTHON}/site-packages/tasks
COPY reelgraph /opt/reelgraph/lib/python${PYTHON}/site-packages/reelgraph
# Bytecode now, as nothing can be written later; and the command, which a wheel would have brought.
RUN python -m compileall -q -j 0 /opt/reelgraph/lib/python${PYTHON}/site-packages \
    && printf '#!/opt/reelgraph/bin/python\nfrom reelgraph.cli import main\n\nmain()\n' > /opt/reelgraph/bin/reelgraph \
    && chmod 755 /opt/reelgraph/bin/reelgraph

FROM python:${PYTHON}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Reelgraph" \
      org.opencontainers.image.description="A self-hosted media backend behind one GraphQL API" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A new volume takes over who owns the folder it is mounted on, so these are made here. Fixed ids, for whoever mounts
# folders of the host instead.
RUN groupadd --gid 10001 reelgraph \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/reelgraph --shell /usr/sbin/nologin reelgraph \
    && install --directory --owner reelgraph --group reelgraph \
       /var/lib/reelgraph /var/lib/reelgraph/media /var/lib/reelgraph/scratch
COPY --from=build /opt/reelgraph /opt/reelgraph
ENV PATH=/opt/reelgraph/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STORAGE_PATH=/var/lib/reelgraph/media \
    SCRATCH_PATH=/var/lib/reelgraph/scratch
USER 10001:10001
WORKDIR /var/lib/reelgraph
EXPOSE 8000
# For the API; whoever runs something else from this image switches it off. Not by curl: that would be one more thing
# in the image.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-ISc", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
# Without a shell in between, so that SIGTERM arrives where it is heeded.
ENTRYPOINT ["reelgraph"]
CMD ["api", "--host", "0.0.0.0", "--port", "8000"]
