# Functions that install packages of the system. tests/run and tests/clients/run read this file.
# shellcheck shell=bash

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs packages of the system, after saying for what.
install_packages() {
    echo "$1 missing; installing: ${*:2}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${@:2}"
}

# Programs of servers are not on everybody's path.
has_program() {
    { command -v "$1" || [ -x "/usr/sbin/$1" ]; } >/dev/null
}

# Installs packages unless a program exists.
install_for() {
    has_program "$1" || install_packages "$1 is" "${@:2}"
}

# Packages must not start their services, for as long as the script runs.
keep_services_stopped() {
    local policy=/usr/sbin/policy-rc.d
    [ ! -e "$policy" ] || return 0
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    trap "as_root rm -f $policy" EXIT
}

# Installs the package of a service that the scripts start themselves. The service must neither start nor be started
# later.
install_service() {
    keep_services_stopped
    install_packages "$1 is" "${@:2}"
    as_root systemctl disable --quiet "$1" 2>/dev/null || true
}

install_python_with_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages "Python with venv is" python3 python3-venv
}

install_node() {
    install_for node nodejs
    install_for npm npm
}
