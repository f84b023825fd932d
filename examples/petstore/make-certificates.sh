#!/bin/sh
# Makes a root CA, two client certificates and a CRL that revokes the second of them.
#
#   root_key.pem     root_cert.pem      the CA, for ten years
#   client_key.pem   client_cert.pem    a client that is let in
#   revoked_key.pem  revoked_cert.pem   a client that is refused: ClientCertCrlHit
#   root.crl         root.crl.der       the CRL as PEM and as DER
#
# Needs nothing but openssl. Only root_cert.pem and root.crl are kept in the repository; run this
# to get client certificates, then apply again, since the CA is a new one each time.
set -eu
umask 077
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/index.txt"
echo 01 >"$work/crlnumber"
openssl rand -hex 16 | sed 's/^./4/' >"$work/serial"

cat >"$work/openssl.cnf" <<EOF
[req]
distinguished_name = name
[name]

[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash

[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid

[crl]
authorityKeyIdentifier = keyid

[ca]
default_ca = petstore
[petstore]
database = $work/index.txt
serial = $work/serial
crlnumber = $work/crlnumber
new_certs_dir = $work
private_key = root_key.pem
certificate = root_cert.pem
default_md = sha384
policy = policy
unique_subject = no
[policy]
commonName = supplied
EOF

# openssl reports its progress on stderr; it is shown only when something fails.
quietly() {
    "$@" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}

new_key() {
    quietly openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$1" -out "$2"
}

new_client() {
    new_key P-256 "$1_key.pem"
    openssl req -new -config "$work/openssl.cnf" -subj "/CN=$2" -key "$1_key.pem" -out "$work/$1.csr"
    quietly openssl ca -batch -notext -config "$work/openssl.cnf" -extensions client -days 825 \
        -in "$work/$1.csr" -out "$1_cert.pem"
}

new_key P-384 root_key.pem
openssl req -x509 -new -config "$work/openssl.cnf" -extensions root -sha384 -days 3650 \
    -subj "/CN=Petstore Root CA" -key root_key.pem -out root_cert.pem

new_client client "petstore client"
new_client revoked "petstore revoked client"

quietly openssl ca -config "$work/openssl.cnf" -revoke revoked_cert.pem -crl_reason keyCompromise
quietly openssl ca -config "$work/openssl.cnf" -gencrl -crlexts crl -crldays 3650 -out root.crl
quietly openssl crl -in root.crl -outform DER -out root.crl.der

chmod 600 ./*_key.pem
chmod 644 ./*_cert.pem root.crl root.crl.der
openssl verify -CAfile root_cert.pem -purpose sslclient client_cert.pem
