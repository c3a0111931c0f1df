package io.drey.flink;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import javax.annotation.Nullable;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.IllegalConfigurationException;

/** What encrypts the connection to NATS: PEM files, as every process of drey takes them. */
final class BusTls {
  private static final List<String> ALGORITHMS = List.of("EC", "RSA", "Ed25519");
  /** A store in memory needs one; nobody else sees it. */
  private static final char[] NO_PASSWORD = new char[0];

  private BusTls() {}

  /**
   * Null where no key of TLS is set.
   *
   * @throws IllegalConfigurationException when a file cannot be used.
   */
  @Nullable
  static SSLContext context(Configuration configuration) {
    String authority = DreyOptions.file(configuration, DreyOptions.NATS_TLS_CA);
    String certificate = DreyOptions.file(configuration, DreyOptions.NATS_TLS_CERTIFICATE);
    String key = DreyOptions.file(configuration, DreyOptions.NATS_TLS_KEY);
    if (authority == null && certificate == null && key == null) {
      return null;
    }
    if ((certificate == null) != (key == null)) {
      throw new IllegalConfigurationException(
          DreyOptions.NATS_TLS_CERTIFICATE.key() + " and " + DreyOptions.NATS_TLS_KEY.key()
              + " are set together or not at all");
    }
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(own(certificate, key), trusted(authority), null);
      return context;
    } catch (GeneralSecurityException | IOException | IllegalArgumentException e) {
      throw new IllegalConfigurationException(
          "drey.nats.tls: the PEM files cannot be used: " + e.getMessage(), e);
    }
  }

  /** Null: the JVM's own authorities. */
  @Nullable
  private static TrustManager[] trusted(@Nullable String authority)
      throws GeneralSecurityException, IOException {
    if (authority == null) {
      return null;
    }
    KeyStore store = emptyStore();
    int n = 0;
    for (Certificate certificate : certificates(authority)) {
      store.setCertificateEntry("ca-" + n++, certificate);
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory.getTrustManagers();
  }

  @Nullable
  private static KeyManager[] own(@Nullable String certificate, @Nullable String key)
      throws GeneralSecurityException, IOException {
    if (certificate == null || key == null) {
      return null;
    }
    KeyStore store = emptyStore();
    Certificate[] chain = certificates(certificate).toArray(new Certificate[0]);
    store.setKeyEntry("own", privateKey(key), NO_PASSWORD, chain);
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(store, NO_PASSWORD);
    return factory.getKeyManagers();
  }

  private static Collection<? extends Certificate> certificates(String file)
      throws GeneralSecurityException, IOException {
    byte[] pem = Files.readAllBytes(Path.of(file));
    return CertificateFactory.getInstance("X.509")
        .generateCertificates(new ByteArrayInputStream(pem));
  }

  private static PrivateKey privateKey(String file) throws GeneralSecurityException, IOException {
    String pem = Files.readString(Path.of(file));
    String body = pem.replaceAll("-----[A-Z ]+-----", "");
    PKCS8EncodedKeySpec spec = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(body));
    for (String algorithm : ALGORITHMS) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(spec);
      } catch (InvalidKeySpecException e) {
        // It is of another algorithm.
        continue;
      }
    }
    throw new InvalidKeySpecException(file + " holds no PKCS 8 key (BEGIN PRIVATE KEY)");
  }

  private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, NO_PASSWORD);
    return store;
  }
}
