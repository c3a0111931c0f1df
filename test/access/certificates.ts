import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** PEM files. */
export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

export interface Certificates {
  /** Certificate of the authority. */
  readonly ca: string;
  /** For 127.0.0.1. */
  readonly server: Certified;
  readonly client: Certified;
}

/** An authority of our own, and what it signed. */
export function makeCertificates(dir: string): Certificates {
  mkdirSync(dir, { recursive: true });
  const openssl = (...words: readonly string[]) =>
    execFileSync('openssl', words, { cwd: dir, stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2'];
  openssl('req', ...authority, '-subj', '/CN=test authority');
  writeFileSync(join(dir, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const sign = (name: string): Certified => {
    const request = [...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`];
    openssl('req', ...request, '-subj', `/CN=${name}`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`, '-days', '2');
    return { certificate: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
  };
  return { ca: join(dir, 'ca.pem'), server: sign('server'), client: sign('client') };
}
