#!/bin/sh
# Makes what the example needs: a CA for clients of two levels with its CRL, and a server certificate of
# another CA of two levels.
#
#   clients_root_cert.pem  clients_issuing_cert.pem   whom the load balancer trusts
#   clients_issuing.crl.der  clients_root.crl         who is revoked: DER for the URL, PEM for the file
#   alice_cert.pem    alice_key.pem                   O=Example Corp, OU=Login: let in
#   mallory_cert.pem  mallory_key.pem                 O=Somebody Else: let in by the load balancer, not by the servers
#   revoked_cert.pem  revoked_key.pem                 refused: ClientCertCrlHit
#   server_cert.pem   server_key.pem                  the load balancer's own
#   server_chain.pem                                  its issuer, and the issuer's issuer
#
# Needs nothing but openssl. The keys of the CAs are thrown away, so run it again for other clients.
set -eu
umask 077
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/openssl.cnf" <<EOF
[req]
distinguished_name = name
[name]

[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash

[issuing]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid

[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid

[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:login.example.com
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid

[crl]
authorityKeyIdentifier = keyid

[policy]
commonName = supplied
organizationName = optional
organizationalUnitName = optional

EOF

# A section of its own for each CA, since openssl ca keeps its books by file.
for ca in clients_root clients_issuing server_root server_issuing; do
    : >"$work/$ca.index"
    echo 01 >"$work/$ca.number"
    openssl rand -hex 16 | sed 's/^./4/' >"$work/$ca.serial"
    cat >>"$work/openssl.cnf" <<EOF
[$ca]
database = $work/$ca.index
serial = $work/$ca.serial
crlnumber = $work/$ca.number
new_certs_dir = $work
private_key = $work/${ca}_key.pem
certificate = $work/${ca}_cert.pem
default_md = sha384
policy = policy
unique_subject = no
EOF
done

# openssl reports its progress on stderr; it is shown only when something fails.
quietly() {
    "$@" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}

new_key() {
    quietly openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$1" -out "$2"
}

# root NAME SUBJECT
root() {
    new_key P-384 "$work/$1_key.pem"
    openssl req -x509 -new -config "$work/openssl.cnf" -extensions root -sha384 -days 3650 \
        -subj "$2" -key "$work/$1_key.pem" -out "$work/$1_cert.pem"
}

# issue CA PROFILE SUBJECT DAYS KEY CERTIFICATE
issue() {
    openssl req -new -config "$work/openssl.cnf" -subj "$3" -key "$5" -out "$work/request.pem"
    quietly openssl ca -batch -notext -config "$work/openssl.cnf" -name "$1" -extensions "$2" -days "$4" \
        -preserveDN -in "$work/request.pem" -out "$6"
}

root clients_root "/O=Example CA/CN=Example Clients Root CA"
new_key P-384 "$work/clients_issuing_key.pem"
issue clients_root issuing "/O=Example CA/CN=Example Clients Issuing CA" 3600 \
    "$work/clients_issuing_key.pem" "$work/clients_issuing_cert.pem"

# client NAME SUBJECT
client() {
    new_key P-256 "$1_key.pem"
    issue clients_issuing client "$2" 3500 "$1_key.pem" "$1_cert.pem"
}
client alice "/O=Example Corp/OU=Login/CN=alice"
client mallory "/O=Somebody Else/OU=Login/CN=mallory"
client revoked "/O=Example Corp/OU=Login/CN=revoked"

quietly openssl ca -config "$work/openssl.cnf" -name clients_issuing -revoke revoked_cert.pem \
    -crl_reason keyCompromise
quietly openssl ca -config "$work/openssl.cnf" -name clients_issuing -gencrl -crlexts crl \
    -crldays 3500 -out "$work/clients_issuing.crl"
quietly openssl crl -in "$work/clients_issuing.crl" -outform DER -out clients_issuing.crl.der
quietly openssl ca -config "$work/openssl.cnf" -name clients_root -gencrl -crlexts crl \
    -crldays 3500 -out clients_root.crl

root server_root "/O=Example CA/CN=Example Servers Root CA"
new_key P-384 "$work/server_issuing_key.pem"
issue server_root issuing "/O=Example CA/CN=Example Servers Issuing CA" 3600 \
    "$work/server_issuing_key.pem" "$work/server_issuing_cert.pem"
new_key P-256 server_key.pem
issue server_issuing server "/CN=login.example.com" 3500 server_key.pem server_cert.pem
cat "$work/server_issuing_cert.pem" "$work/server_root_cert.pem" >server_chain.pem

cp "$work/clients_root_cert.pem" "$work/clients_issuing_cert.pem" .
chmod 600 ./*_key.pem
chmod 644 ./*_cert.pem server_chain.pem clients_root.crl clients_issuing.crl.der
openssl verify -CAfile clients_root_cert.pem -untrusted clients_issuing_cert.pem -purpose sslclient \
    alice_cert.pem mallory_cert.pem
openssl verify -CAfile server_chain.pem -purpose sslserver server_cert.pem
