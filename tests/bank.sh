# A throwaway bank for judges from outside: `bank_start sqlite|postgres` makes a database with a demonstration bank in a
# temporary directory and serves it; `bank_token ROLE [OPTION…]` prints a token; `bank_stop` ends and removes all of it.
# To be sourced; it sets $BANK (the directory), $URL (the server) and $DATABASE_URL.

program=${KEHU_PROGRAM:-${CARGO_TARGET_DIR:-target}/debug/kehu}

bank_start() {
    BANK=$(mktemp -d)
    SERVER="" POSTGRES=""
    trap bank_stop EXIT
    export KEHU_DATA_DIR=$BANK/files RUST_LOG=warn
    case $1 in
    sqlite) DATABASE_URL=sqlite://$BANK/kehu.db ;;
    postgres) bank_postgres ;;
    *) echo "sqlite or postgres, not $1" >&2 && return 1 ;;
    esac
    export DATABASE_URL
    "$program" migrate >/dev/null
    "$program" demo --customers "${CUSTOMERS:-100}" >/dev/null 2>&1
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    URL=http://127.0.0.1:$port
    "$program" serve --listen "127.0.0.1:$port" --rate-limit 0/1 --rate-limit-strangers 0/1 >"$BANK/server.log" 2>&1 &
    SERVER=$!
    for _ in $(seq 100); do
        curl -sf "$URL/readyz" >/dev/null && return 0
        sleep 0.1
    done
    echo "the server does not start:" >&2
    cat "$BANK/server.log" >&2
    return 1
}

# PostgreSQL refuses to run as root; then it runs as the user of its package. Sockets only, and no durability.
bank_postgres() {
    local programs unprivileged=()
    programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if [ "$(id -u)" = 0 ]; then
        chmod 711 "$BANK"
        unprivileged=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    fi
    mkdir "$BANK/postgres"
    [ "$(id -u)" != 0 ] || chown postgres "$BANK/postgres"
    (
        cd /
        "${unprivileged[@]}" "$programs/initdb" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N -D "$BANK/postgres/data" >/dev/null
        "${unprivileged[@]}" "$programs/pg_ctl" -w -s -l "$BANK/postgres/log" -D "$BANK/postgres/data" -o "-c listen_addresses='' \
            -c unix_socket_directories=$BANK/postgres -c fsync=off -c full_page_writes=off -c synchronous_commit=off" start
    )
    POSTGRES=("${unprivileged[@]}" "$programs/pg_ctl" -s -m immediate -D "$BANK/postgres/data" stop)
    DATABASE_URL="postgres:///postgres?host=$BANK/postgres&user=postgres"
}

bank_token() {
    "$program" token --role "$@"
}

bank_stop() {
    trap - EXIT
    if [ -n "$SERVER" ]; then
        kill "$SERVER" 2>/dev/null || true
        wait "$SERVER" 2>/dev/null || true
    fi
    [ -z "${POSTGRES[*]}" ] || (cd / && "${POSTGRES[@]}") || true
    rm -rf "$BANK"
}
