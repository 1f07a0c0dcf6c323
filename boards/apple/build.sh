#!/usr/bin/env bash
# Builds `oarlock` for Apple Silicon and says where it is.
#
# On a Mac this is plain cargo. Elsewhere zig links, as its linker needs no SDK of Apple's and
# signs what it links: `zig` if it is installed, else the Python package `ziglang`, which is
# put into a folder of its own in the target folder. Rust needs the target (`rustup target
# add aarch64-apple-darwin`), or the standard library's sources (TOOLCHAIN names a toolchain
# that has them).
set -euo pipefail
cd "$(dirname "$0")/../.."

target=aarch64-apple-darwin
toolchain=${TOOLCHAIN-$(rustup show active-toolchain 2>/dev/null | cut -d' ' -f1)}
out=${CARGO_TARGET_DIR:-$PWD/target}
build=(cargo ${toolchain:+"+$toolchain"} build --release --locked -p oarlock-cli --target "$target")

if [ "$(uname -s)" != Darwin ]; then
    zig=(zig)
    if ! command -v zig >/dev/null; then
        if [ ! -x "$out/zig/bin/python" ]; then
            python3 -m venv "$out/zig"
            "$out/zig/bin/pip" install --quiet 'ziglang==0.15.*'
        fi
        zig=("$out/zig/bin/python" -m ziglang)
    fi
    # macOS 11 is the first that runs on these machines. The crate `libc` asks for iconv, which
    # nothing here calls and zig has no stub of.
    cat >"$out/zig-link" <<LINK
#!/bin/sh
for argument; do
    shift
    [ "\$argument" = -liconv ] || set -- "\$@" "\$argument"
done
exec ${zig[*]} cc -target aarch64-macos.11.0 "\$@"
LINK
    chmod +x "$out/zig-link"
    export CARGO_TARGET_AARCH64_APPLE_DARWIN_LINKER=$out/zig-link
    # Stripping would take the signature off.
    export CARGO_PROFILE_RELEASE_STRIP=none
    libraries=$(rustc ${toolchain:+"+$toolchain"} --print sysroot)/lib/rustlib/$target
    if [ ! -d "$libraries" ]; then
        export RUSTC_BOOTSTRAP=1
        build+=(-Zbuild-std=std,panic_abort)
    fi
fi
"${build[@]}"
echo "$out/$target/release/oarlock"
