# docker build --tag detox . && docker run --init --rm --volume detox-metrics:/project/metrics detox
# Its default command runs the pipeline from the lock, and leaves the page in metrics/. Not built on the machine on which
# it was written, which has no Docker.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /project
# torch without CUDA's libraries; for a GPU: --build-arg PIP_EXTRA_INDEX_URL=, since PyPI's brings them.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
# First, so that a change of the code does not install everything again.
COPY requirements.lock pyproject.toml Makefile README.md ./
COPY detox ./detox
RUN make ".venv/ready-$(python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')"
COPY . .
# A file of the same content may be newer than the layer above.
RUN touch .venv/ready-*
CMD ["make", "repro"]
