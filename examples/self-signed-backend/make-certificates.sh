#!/bin/sh
# A private CA and the backend's certificate, as API Gateway wants them with `insecure_skip_verification`:
# the root is a CA that may sign certificates, the certificate names the host of the integration's URI.
# Keys go to ./keys; backend.pem is what the backend has to show, its own certificate first, the root last.
set -eu
host=${1:-pets.backend.internal}
mkdir -p keys && chmod 700 keys

openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=Backend Root CA" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout keys/root.key -out keys/root.pem

openssl req -newkey rsa:2048 -nodes -subj "/CN=$host" -keyout keys/backend.key -out keys/backend.csr
cat > keys/backend.cnf <<END
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth
subjectAltName=DNS:$host
END
openssl x509 -req -in keys/backend.csr -CA keys/root.pem -CAkey keys/root.key -CAcreateserial \
    -days 825 -sha256 -extfile keys/backend.cnf -out keys/leaf.pem
cat keys/leaf.pem keys/root.pem > backend.pem
