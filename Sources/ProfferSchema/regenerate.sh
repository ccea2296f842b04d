#!/bin/sh
# Makes Generated/ anew from Schema/. Needs protoc (Debian: protobuf-compiler) and protoc-gen-swift
# of the swift-protobuf release that Package.swift resolves to, on PATH or named in PROTOC_GEN_SWIFT.
set -eu
cd "$(dirname "$0")"
plugin=${PROTOC_GEN_SWIFT:-$(command -v protoc-gen-swift || true)}
if [ -z "$plugin" ]; then
    echo "protoc-gen-swift is missing: build it in .build/checkouts/swift-protobuf with" >&2
    echo "  swift build -c release --product protoc-gen-swift" >&2
    echo "and name it in PROTOC_GEN_SWIFT" >&2
    exit 1
fi
mkdir -p Generated
protoc --proto_path=Schema --plugin=protoc-gen-swift="$plugin" \
    --swift_out=Generated --swift_opt=Visibility=Package --swift_opt=FileNaming=DropPath \
    --swift_opt=UseAccessLevelOnImports=true \
    Schema/proffer/v1/*.proto
