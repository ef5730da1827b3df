#!/bin/sh
# Makes countersign_VERSION_ARCH.deb from a binary that is built already. Needs dpkg-deb and no network.
#
#   packaging/build
#   packaging/deb/build.sh target/dist/countersign .
#
# The binary says its own version and writes its own manual pages and completions, so it must run here; for another
# machine's, name that machine in DEB_ARCH and a binary for this one in COUNTERSIGN_HERE.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 BINARY FOLDER" >&2
    exit 2
fi
binary=$1
folder=$2
here=${COUNTERSIGN_HERE:-$binary}
packaging=$(cd "$(dirname "$0")/.." && pwd)
arch=${DEB_ARCH:-$(dpkg --print-architecture)}
version=$("$here" version -q)
# the same sources make the same package
: "${SOURCE_DATE_EPOCH:=$(stat -c %Y "$packaging/../CHANGELOG.md")}"
export SOURCE_DATE_EPOCH

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022
# mktemp's own mode would be that of `/`
chmod 0755 "$root"

doc=$root/usr/share/doc/countersign
install -D -m 0755 "$binary" "$root/usr/bin/countersign"
install -D -m 0644 "$packaging/systemd/countersign.service" "$root/lib/systemd/system/countersign.service"
install -D -m 0640 "$packaging/countersign.toml" "$root/etc/countersign/countersign.toml"
chmod 0750 "$root/etc/countersign"
install -D -m 0644 "$packaging/systemd/credentials.conf" "$doc/examples/credentials.conf"
install -D -m 0644 "$packaging/deb/copyright" "$doc/copyright"

"$here" man --quiet --to "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
complete() {
    mkdir -p "$(dirname "$root/$2")"
    "$here" completion "$1" > "$root/$2"
}
complete bash usr/share/bash-completion/completions/countersign
complete zsh usr/share/zsh/vendor-completions/_countersign
complete fish usr/share/fish/vendor_completions.d/countersign.fish

# whoever hands packages out says under which address
maintainer=${DEB_MAINTAINER:-The Countersign maintainers <countersign@localhost>}
{
    printf 'countersign (%s) unstable; urgency=medium\n\n' "$version"
    printf '  * What is new stands in CHANGELOG.md of the sources.\n\n'
    printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n > "$doc/changelog.gz"

# a static binary asks for nothing; another one for the newest C library whose symbols it names
libc=$(grep -ao 'GLIBC_2\.[0-9]*' "$binary" | sort -uV | tail -n 1 | sed 's/GLIBC_//' || true)
depends=passwd
if [ -n "$libc" ]; then
    depends="libc6 (>= $libc), libgcc-s1, passwd"
fi

control=$root/DEBIAN
mkdir "$control"
for script in postinst prerm postrm; do
    install -m 0755 "$packaging/deb/$script" "$control/$script"
done
echo /etc/countersign/countersign.toml > "$control/conffiles"
(cd "$root" && find etc lib usr -type f -exec md5sum {} + | LC_ALL=C sort -k 2 > DEBIAN/md5sums)
cat > "$control/control" <<CONTROL
Package: countersign
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude DEBIAN "$root" | cut -f 1)
Depends: $depends
Section: net
Priority: optional
Description: lets only the right callers reach an API
 One binary that stands in front of an API as a reverse proxy, asks every
 caller for a credential, and issues those credentials.
CONTROL

mkdir -p "$folder"
dpkg-deb --root-owner-group -Zxz --build "$root" "$folder/countersign_${version}_${arch}.deb"
