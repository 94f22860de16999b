# Sourced by scripts/run and scripts/test: the checkout's own .venv, with fastbp installed in it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
case $OSTYPE in
    msys* | cygwin*) python=$venv/Scripts/python ;;
    *) python=$venv/bin/python ;;
esac

# install [EXTRAS]: at once when nothing of what it depends on has changed since the last time.
install() {
    local extras=${1-} now
    local stamp=$venv/installed$extras
    now="$root $(cksum <"$root/pyproject.toml")"
    if [[ -x $python && -e $stamp && $(<"$stamp") == "$now" ]]; then
        return
    fi
    echo "Installing fastbp$extras into .venv ..."
    "${PYTHON:-python3}" -m venv "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check --editable "$root$extras"
    printf '%s\n' "$now" >"$stamp"
}
