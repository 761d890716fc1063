#!/bin/sh
# Runs Stash2Plex's own tests with plexindex in place of its caches and its matcher:
#   scripts/test_stash2plex.sh CHECKOUT
# Copies the commit that docs/hosts.md names from the checkout, which stays as it is. PYTHON selects the interpreter.
set -e
checkout=${1:?name a checkout of Stash2Plex: make test-stash2plex STASH2PLEX=…}
commit=$(sed -n 's/.*Stash2Plex [0-9.]* (`\([0-9a-f]*\)`).*/\1/p' docs/hosts.md)
here=$PWD
copy=build/stash2plex/copy python=$here/build/stash2plex/venv/bin/python

rm -rf $copy
git clone --quiet --no-checkout "$checkout" $copy
git -C $copy checkout --quiet "$commit"
if [ ! -e "$python" ]; then
    "${PYTHON:-python3}" -m venv build/stash2plex/venv
fi
# Its documents need more packages, and its tests do not.
grep -v '^mkdocs' $copy/requirements-dev.txt >build/stash2plex/requirements.txt
"$python" -m pip --disable-pip-version-check -q install -r $copy/requirements.txt -r build/stash2plex/requirements.txt
# The package that the other tests use.
PYTHONPATH=$(build/venv/bin/python -c 'import plexindex, pathlib; print(pathlib.Path(plexindex.__file__).parent)')
mkdir -p build/stash2plex/package
ln -sfn "$PYTHONPATH" build/stash2plex/package/plexindex
PYTHONPATH=$here/build/stash2plex/package
export PYTHONPATH

cd $copy
"$python" "$here/docs/stash2plex/use_plexindex.py"
echo 'with plexindex:'
"$python" -m pytest -q -p no:cacheprovider -rP -k test_the_index_answers --no-cov tests/plex/test_implementation.py |
    grep 'answers came from the index'
"$python" -m pytest -q -p no:cacheprovider --cov-config=tests/with_plexindex.coveragerc >pytest.log ||
    { cat pytest.log; exit 1; }
tail -n 1 pytest.log
echo 'with a plexindex that cannot be loaded:'
PLEXINDEX_LIBRARY=$here/docs/hosts.md "$python" -m pytest -q -p no:cacheprovider >pytest.log || { cat pytest.log; exit 1; }
tail -n 1 pytest.log
