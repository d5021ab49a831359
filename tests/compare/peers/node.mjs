// One note; `attach FILE`; `session COUNT`: Nodemailer, and the token by Node's own fetch.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(process.env.NODE_MODULES + '/');
const nodemailer = require('nodemailer');
const env = process.env;

async function fetchToken() {
    const form = new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: env.EXOSEND_CLIENT_ID,
        client_secret: env.EXOSEND_CLIENT_SECRET,
        scope: 'https://outlook.office365.com/.default',
    });
    const url = `${env.EXOSEND_AUTHORITY}/${env.EXOSEND_TENANT}/oauth2/v2.0/token`;
    const answer = await fetch(url, { method: 'POST', body: form });
    return (await answer.json()).access_token;
}

const [mode, what] = process.argv.slice(2);
const accessToken = env.TOKEN || (await fetchToken());
const transport = nodemailer.createTransport({
    host: 'localhost',
    port: Number(env.EXOSEND_SERVER.split(':').pop()),
    requireTLS: true,
    tls: { ca: readFileSync(env.EXOSEND_CA_FILE) },
    auth: { type: 'OAuth2', user: env.EXOSEND_MAILBOX, accessToken },
    ...(mode === 'session' ? { pool: true, maxConnections: 1, maxMessages: Infinity } : {}),
});
const line = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n';
const message = {
    from: env.EXOSEND_MAILBOX,
    to: 'ann@example.com',
    subject: 'backup done',
    text: line.repeat(mode === 'session' ? 160 : 16),
    ...(mode === 'attach' ? { attachments: [{ filename: 'file', path: what }] } : {}),
};
const count = mode === 'session' ? Number(what) : 1;
await Promise.all(Array.from({ length: count }, () => transport.sendMail(message)));
transport.close();
