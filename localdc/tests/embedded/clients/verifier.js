// A server that answers each request with what npm's http-signature says of it, as CloudAPI asks
// it (sdc-cloudapi, lib/authorization.js and lib/auth.js, verifySignature).
// Standard input: {KEYID: OpenSSH line}.  First line of standard output: the port.
'use strict';
const http = require('http');
const httpSignature = require('http-signature');

const ALGORITHMS = ['rsa-sha1', 'rsa-sha256', 'rsa-sha384', 'rsa-sha512', 'dsa-sha1', 'dsa-sha256',
    'ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512', 'ed25519-sha512'];

function verdict(request, keys) {
    let parsed;
    try {
        parsed = httpSignature.parseRequest(request, {algorithms: ALGORITHMS});
    } catch (error) {
        return [400, {code: 'InvalidHeader', message: error.message}];
    }
    let good = false;
    try {
        good = httpSignature.verifySignature(parsed, keys[parsed.keyId]);
    } catch (error) {
        return [401, {code: 'InvalidCredentials', message: error.message}];
    }
    return good ? [200, {login: 'acme', id: parsed.keyId}] :
        [401, {code: 'InvalidCredentials', message: 'not made with this key'}];
}

const keys = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const server = http.createServer((request, response) => {
    const [status, body] = verdict(request, keys);
    response.writeHead(status, {'Content-Type': 'application/json'});
    response.end(JSON.stringify(body));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
