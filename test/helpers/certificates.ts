/** Certificates for servers of tests, made for one run: an authority, and what it signed. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
}

/** A certificate that is its own authority, for these names and addresses (`DNS:hooks.test`, `IP:127.0.0.1`). */
export function selfSigned(...subjects: readonly string[]): TestCertificate {
  const folder = mkdtempSync(join(tmpdir(), 'emr-certificate-'));
  try {
    const file = (name: string) => join(folder, name);
    const config = `[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = emr-merge test
[extensions]
basicConstraints = critical, CA:true
subjectAltName = ${subjects.join(',')}
`;
    writeFileSync(file('config'), config);
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const out = ['-nodes', '-keyout', file('key'), '-out', file('cert'), '-days', '2', '-config', file('config')];
    execFileSync('openssl', ['req', '-x509', ...curve, ...out], { stdio: 'ignore' });
    return { key: readFileSync(file('key'), 'utf8'), cert: readFileSync(file('cert'), 'utf8') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
