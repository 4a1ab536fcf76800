// Signs with npm's http-signature.
// Standard input: [{method, path, headers: {NAME: TEXT}, options}], options being those of
// signRequest with the PEM of a private key.  Standard output: [{NAME: TEXT}], the headers to send.
'use strict';
const httpSignature = require('http-signature');

function signed(wanted) {
    const headers = Object.assign({}, wanted.headers);
    const find = (name) => Object.keys(headers).find((n) => n.toLowerCase() === name.toLowerCase());
    httpSignature.signRequest({
        method: wanted.method,
        path: wanted.path,
        getHeader: (name) => headers[find(name)],
        setHeader: (name, value) => { headers[find(name) || name] = value; }
    }, wanted.options);
    return headers;
}

console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8')).map(signed)));
