#!/bin/sh
# Tries an image as it will run: `deploy/smoke.sh IMAGE KERNELS` fails unless the check names these kernels (a pattern
# of grep -E), a message is answered by the model, and the health check passes.
set -eu
image=$1
kernels=$2
volume=$(docker volume create)
name=parley-smoke-$$
trap 'docker rm --force "$name" >/dev/null 2>&1 || true; docker volume rm "$volume" >/dev/null' EXIT

parley() {
    docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --volume "$volume:/data" "$@"
}

checked=$(parley --rm "$image" check)
echo "$checked"
echo "$checked" | grep -Eq "$kernels"
if parley --rm --entrypoint sh "$image" -c 'command -v cc gcc clang'; then
    echo "there is a compiler in it" >&2
    exit 1
fi
answered=$(echo "Hello there!" | parley --rm --interactive "$image" chat --json)
echo "$answered" | grep -q '"source": "model"'

# The platform is out of reach here; the process lives, and says so.
parley --detach --name "$name" --env PARLEY_TELEGRAM__TOKEN=1:smoke --env PARLEY_TELEGRAM__BASE_URL=http://127.0.0.1:9 "$image"
for _ in $(seq 60); do
    if docker exec "$name" python /opt/healthcheck.py; then
        docker stop --time 40 "$name"
        test "$(docker inspect --format '{{.State.ExitCode}}' "$name")" = 0
        exit
    fi
    sleep 1
done
docker logs "$name" >&2
exit 1
