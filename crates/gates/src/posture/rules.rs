//! The rules: one for each way in which an environment can be open.

use crate::rule::rules;

rules! { "CF-POSTURE-";
    PLAIN_TEXT = "001" plain_text High Security [PCI_4_2_1, HIPAA_164_312_E_1, GDPR_32_1_A, SOC2_CC6_7, NIST_SC_8]
        "The endpoint speaks plain text."
        "Whoever is on the way reads every span, and the credentials that come with it."
        "Enable TLS on the endpoint, and write https:// in crossfade.yaml.";
    PLAIN_TEXT_BESIDE_TLS = "002" plain_text_beside_tls High Security [PCI_4_2_1, PCI_2_2_5, HIPAA_164_312_E_1, SOC2_CC6_7, NIST_SC_8]
        "The port speaks TLS, and takes plain text too."
        "A client that is set up wrongly works, and nobody notices that it sends in the clear."
        "Take the plain text listener, or the proxy's fallback, off the port.";
    OLD_TLS = "003" old_tls High Security [PCI_4_2_1, PCI_2_2_5, HIPAA_164_312_E_1, GDPR_32_1_A, NIST_SC_8, NIST_SC_13]
        "A version of TLS or SSL is accepted that is older than allowed."
        "Old versions have known attacks, and a client can be talked down to them."
        "Set tls.min_version of the receiver or the query service.";
    BROKEN_SUITE = "004" broken_suite Critical Security [PCI_4_2_1, PCI_2_2_5, HIPAA_164_312_E_1, GDPR_32_1_A, NIST_SC_8, NIST_SC_13]
        "Cipher suites are accepted that protect nothing."
        "Without encryption, with keys that are guessed within hours, or with a peer that proves nothing, TLS is one in name only."
        "Set tls.cipher_suites to forward secret AEAD suites, or remove the setting that allows these.";
    WEAK_SUITE = "005" weak_suite High Security [PCI_4_2_1, PCI_2_2_5, HIPAA_164_312_E_1, NIST_SC_8, NIST_SC_13]
        "Cipher suites are accepted that policy does not allow."
        "They have known weaknesses, or let whoever gets the server's key later read what was recorded before."
        "Set tls.cipher_suites to forward secret AEAD suites.";
    OLD_SUITE = "006" old_suite Note Security [PCI_4_2_1, NIST_SC_13]
        "Cipher suites with CBC and SHA-1 are accepted."
        "They are dated; what is current takes them still, for old clients."
        "Set tls.cipher_suites to forward secret AEAD suites once no client needs these.";
    UNTRUSTED = "007" untrusted High Security [PCI_4_2_1, HIPAA_164_312_E_1, SOC2_CC6_7, NIST_SC_8, NIST_IA_3]
        "The server's certificate leads to no certificate that is trusted."
        "A client that verifies cannot connect; one that does cannot tell this server from another."
        "Have a CA that clients trust sign it, send the whole chain, or set tls.ca_file in crossfade.yaml to its CA.";
    WRONG_NAME = "008" wrong_name High Security [PCI_4_2_1, HIPAA_164_312_E_1, NIST_SC_8, NIST_IA_3]
        "The server's certificate is for another name."
        "A client that verifies cannot connect; one that does not takes anybody with any certificate."
        "Issue a certificate with the endpoint's name, or use the name that it has.";
    EXPIRED = "009" expired High Security [PCI_4_2_1, HIPAA_164_312_E_1, SOC2_A1_2, NIST_SC_8]
        "The server's certificate is not valid now."
        "Clients that verify cannot connect: spans are lost; and an expired certificate is not revoked when its key leaks."
        "Renew it, and let the renewal be automatic.";
    EXPIRES_SOON = "010" expires_soon Medium Security [SOC2_A1_2, SOC2_CC7_2, NIST_SC_8]
        "The server's certificate ends sooner than policy allows."
        "It may end within the rollout, or soon after, and then every client stops at once."
        "Renew it before the rollout, or lower gates.posture.valid_min if its renewal is automatic.";
    WEAK_KEY = "011" weak_key High Security [PCI_4_2_1, HIPAA_164_312_E_1, NIST_SC_13]
        "The server's key is too short."
        "It can be computed by those who can pay for it, and then everything is readable and forgeable."
        "Issue a certificate with an EC key of 256 bits, or an RSA key of 2048 bits or more.";
    WEAK_SIGNATURE = "012" weak_signature High Security [PCI_4_2_1, NIST_SC_13, NIST_SI_7]
        "The server's certificate is signed with MD5 or SHA-1."
        "Such a signature can be forged: another certificate can carry it."
        "Have it signed with SHA-256 or better.";
    NO_CLIENT_CERTIFICATE = "013" no_client_certificate High Security [PCI_8_3_1, PCI_7_2_1, HIPAA_164_312_D, SOC2_CC6_1, NIST_IA_3]
        "Clients are served without a certificate."
        "Anybody who reaches the port can write spans, or read them, under anybody's name."
        "Set tls.client_ca_file of the receiver or the query service.";
    NO_AUTHENTICATION = "014" no_authentication High Security [PCI_8_3_1, PCI_7_2_1, HIPAA_164_312_A_1, HIPAA_164_312_D, GDPR_32_1_B, SOC2_CC6_1, NIST_AC_3]
        "A request without any credentials is served."
        "Anybody who reaches the port can read what traces hold, or write what they like into the record."
        "Enable an authenticator on the endpoint, or demand client certificates, or put an authenticating proxy before it.";
    WRONG_TOKEN_TAKEN = "015" wrong_token_taken Critical Security [PCI_8_3_1, HIPAA_164_312_D, SOC2_CC6_1, NIST_AC_3]
        "A token that nobody gave out is accepted, though a request without one is not."
        "The door looks locked, and any key opens it."
        "Check that the authenticator compares the token, and that it is the one under service.extensions.";
    OTHER_TENANT_TAKEN = "016" other_tenant_taken High Security [PCI_7_2_1, HIPAA_164_312_A_1, GDPR_32_1_B, SOC2_CC6_1, NIST_AC_4]
        "With our credentials, another tenant's name in X-Scope-OrgID is accepted."
        "Whoever has any access has every tenant's."
        "Let a gateway set X-Scope-OrgID from the credentials, and drop what the client says.";
    ADMIN_OPEN = "017" admin_open High Security [PCI_2_2_5, PCI_2_2_7, PCI_7_2_1, SOC2_CC6_6, NIST_CM_7, NIST_AC_3]
        "An interface for those who run the environment is open to anybody."
        "Profiles and live views show memory and spans; all of them tell an attacker what there is, and some put load on it."
        "Bind it to localhost, disable it, or put an authenticating proxy before it.";
    CORS_OPEN = "018" cors_open Medium Security [PCI_7_2_1, SOC2_CC6_6, NIST_AC_4]
        "Web pages of any origin may read the answers."
        "A page that an operator visits can read traces through the operator's browser."
        "Name the origins that need it under cors.allowed_origins, or remove cors.";
    NOT_VERIFIED = "019" not_verified Medium Security [PCI_4_2_1, HIPAA_164_312_E_1, NIST_SC_8, NIST_IA_3]
        "Crossfade is told to take any certificate from this endpoint."
        "What it sends may go to anybody, and what it reads may be anybody's."
        "Remove tls.insecure_skip_verify from crossfade.yaml, and set tls.ca_file.";
    WEAKER = "020" weaker High Security [PCI_6_5_2, HIPAA_164_308_A_8, SOC2_CC8_1, NIST_CM_4_2, NIST_CM_6]
        "The candidate is weaker here than the active environment."
        "What protects today's traces would be gone after the switch, without anybody having decided so."
        "Set the candidate up as the active is, or accept the difference with a waiver.";
    REGRESSED = "021" regressed High Security [PCI_6_5_2, HIPAA_164_308_A_8, SOC2_CC7_2, NIST_CM_3, NIST_CM_4_2]
        "The candidate is weaker here than when it was looked at before."
        "What was checked and approved is not what runs now."
        "Find out who changed the environment, and take the change back.";
    UNREACHABLE = "022" unreachable Unknown Security [NIST_CM_4_2, GDPR_32_1_D]
        "The endpoint does not answer."
        "Nothing is known of what it would accept, and what is not known does not pass."
        "Check address, port and network.";
    UNDETERMINED = "023" undetermined Unknown Security [NIST_CM_4_2, GDPR_32_1_D]
        "Something about the endpoint could not be determined."
        "It may be open or closed; what is not known does not pass."
        "The detail says what was in the way; mend it, and look again.";
    STRANGE_CERTIFICATE = "024" strange_certificate Critical Security [PCI_8_3_1, HIPAA_164_312_D, SOC2_CC6_1, NIST_AC_3, NIST_IA_3]
        "A client certificate is accepted that nobody vouches for: it has signed itself."
        "The server asks for a certificate and does not verify it: the door looks locked, and whoever makes himself a key is in."
        "Set tls.client_ca_file of the receiver or the query service; before a proxy, let it verify and not merely request certificates.";
}
