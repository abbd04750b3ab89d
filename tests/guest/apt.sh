# shellcheck shell=bash
# Debian packages from the system's own archive, without touching the system's package state:
# unpacked, never installed. bash, sourced; call apt_open first.

# apt_open FOLDER SUITE...: a private apt with these suites of the archive that the system uses.
apt_open() {
    local folder=$1 archive suite
    shift
    # shellcheck source=/dev/null
    [ "$(. /etc/os-release && echo "$ID")-$(dpkg --print-architecture)" = debian-amd64 ] ||
        { say "guests can be set up on Debian amd64 only"; return 1; }
    # shellcheck disable=SC2016 # apt expands these
    archive=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' |
        awk -v release="$(system_release)" '$2 == release && $3 == "main" { print $1; exit }')
    [ -n "$archive" ] || { say "no apt source for '$(system_release) main'"; return 1; }
    mkdir -p "$folder"/{lists/partial,cache/archives/partial,sources,preferences}
    for suite; do
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
            "$archive" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg
    done >"$folder/sources/guest.sources"
    apt_options=(-qq -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache"
        -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$folder/sources"
        -o Dir::Etc::preferences=/dev/null -o "Dir::Etc::preferencesparts=$folder/preferences"
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3)
    apt-get "${apt_options[@]}" update
}

# shellcheck source=/dev/null
system_release() { (. /etc/os-release && echo "$VERSION_CODENAME"); }

# apt_depends PACKAGE/SUITE PATTERN: the first dependency of the package that matches.
apt_depends() {
    apt-cache "${apt_options[@]}" depends "$1" | sed -n 's/^ *Depends: //p' | grep -m 1 -E "$2"
}

# apt_missing PACKAGE: the package and those it needs, as far as they are not installed.
apt_missing() {
    apt-get "${apt_options[@]}" install --no-install-recommends -y -s "$1" |
        sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

# apt_download FOLDER PACKAGE[/SUITE]...: into a new folder.
apt_download() {
    local folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && apt-get "${apt_options[@]}" download "$@")
}

# apt_unpack FOLDER PACKAGE[/SUITE]...: their files, below FOLDER.
apt_unpack() {
    local folder=$1 file
    apt_download "$folder.debs" "${@:2}" || return 1
    for file in "$folder.debs"/*.deb; do
        dpkg -x "$file" "$folder" || return 1
    done
    rm -rf "$folder.debs"
}
