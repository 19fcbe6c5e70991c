//! The controls that findings touch: requirements of the standards that tracing systems in regulated places answer to.
//!
//! Sources: PCI DSS 4.0.1; NIST SP 800-53 Rev. 5; AICPA Trust Services Criteria 2017 (SOC 2); 45 CFR Part 164 (HIPAA); Regulation
//! (EU) 2016/679 (GDPR). The words are ours, and short; the standards have the whole text.

use std::fmt;

use serde::{Serialize, Serializer};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standard {
    /// Payment cards.
    PciDss,
    /// Health data, United States.
    Hipaa,
    /// Personal data, European Union.
    Gdpr,
    /// Service organisations.
    Soc2,
    /// Federal information systems, United States.
    Nist80053,
}

impl Standard {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PciDss => "PCI DSS",
            Self::Hipaa => "HIPAA",
            Self::Gdpr => "GDPR",
            Self::Soc2 => "SOC 2",
            Self::Nist80053 => "NIST 800-53",
        }
    }
}

/// One requirement of one standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Control {
    /// Whose.
    pub standard: Standard,
    /// Its number there.
    pub number: &'static str,
    /// What it asks for.
    pub asks: &'static str,
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.standard.name(), self.number)
    }
}

impl Serialize for Control {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

macro_rules! controls {
    ($($constant:ident = $standard:ident $number:literal $asks:literal;)*) => {
        $(#[doc = $asks] pub const $constant: Control =
            Control { standard: Standard::$standard, number: $number, asks: $asks };)*
        /// All of them.
        pub const CONTROLS: &[Control] = &[$($constant),*];
    };
}

controls! {
    PCI_3_4_1 = PciDss "3.4.1" "card numbers are masked where they are displayed";
    PCI_3_5_1 = PciDss "3.5.1" "card numbers are unreadable where they are stored";
    PCI_4_2_1 = PciDss "4.2.1" "strong cryptography protects card numbers on the way";
    PCI_2_2_5 = PciDss "2.2.5" "insecure services and protocols are justified and made safe";
    PCI_2_2_7 = PciDss "2.2.7" "administrative access is encrypted";
    PCI_6_5_1 = PciDss "6.5.1" "changes have reason, impact, approval, tests, and a way back";
    PCI_6_5_2 = PciDss "6.5.2" "after a significant change the requirements are confirmed to hold";
    PCI_6_5_3 = PciDss "6.5.3" "environments are separate, and access control keeps them so";
    PCI_6_5_4 = PciDss "6.5.4" "author, approver and executor are different people";
    PCI_6_5_5 = PciDss "6.5.5" "no live card numbers where they are not protected";
    PCI_6_5_6 = PciDss "6.5.6" "test data is removed before a system goes live";
    PCI_7_2_1 = PciDss "7.2.1" "access follows need, and is denied otherwise";
    PCI_8_3_1 = PciDss "8.3.1" "whoever has access has proved who they are";
    PCI_10_2 = PciDss "10.2" "audit logs record who did what, when, where and with which result";
    PCI_10_3 = PciDss "10.3" "audit logs are protected against change";
    PCI_10_5_1 = PciDss "10.5.1" "audit logs are kept for 12 months";
    PCI_10_6 = PciDss "10.6" "clocks are synchronised";
    PCI_10_7 = PciDss "10.7" "failures of critical security controls are detected and answered";
    HIPAA_164_308_A_8 = Hipaa "164.308(a)(8)" "safeguards are evaluated after a change";
    HIPAA_164_312_A_1 = Hipaa "164.312(a)(1)" "only those with access rights reach health data";
    HIPAA_164_312_B = Hipaa "164.312(b)" "activity is recorded and examined";
    HIPAA_164_312_C_1 = Hipaa "164.312(c)(1)" "health data is not altered or destroyed";
    HIPAA_164_312_D = Hipaa "164.312(d)" "whoever asks for health data proves who they are";
    HIPAA_164_312_E_1 = Hipaa "164.312(e)(1)" "health data is guarded on the way";
    HIPAA_164_316_B_2_I = Hipaa "164.316(b)(2)(i)" "documentation is kept for six years";
    GDPR_5_1_C = Gdpr "5(1)(c)" "no more personal data than needed";
    GDPR_5_1_E = Gdpr "5(1)(e)" "personal data is kept no longer than needed";
    GDPR_5_2 = Gdpr "5(2)" "accountability: compliance can be shown";
    GDPR_25 = Gdpr "25" "data protection by design and by default";
    GDPR_30 = Gdpr "30" "processing is on record, with its recipients";
    GDPR_32_1_A = Gdpr "32(1)(a)" "personal data is encrypted or pseudonymised where fitting";
    GDPR_32_1_B = Gdpr "32(1)(b)" "processing stays confidential, whole, available and resilient";
    GDPR_32_1_D = Gdpr "32(1)(d)" "the measures are tested regularly";
    SOC2_A1_1 = Soc2 "A1.1" "capacity meets demand";
    SOC2_A1_2 = Soc2 "A1.2" "recovery is planned for and monitored";
    SOC2_CC6_1 = Soc2 "CC6.1" "logical access is restricted";
    SOC2_CC6_6 = Soc2 "CC6.6" "outsiders are kept out";
    SOC2_CC6_7 = Soc2 "CC6.7" "data is protected on the way, and goes only where it may";
    SOC2_CC7_2 = Soc2 "CC7.2" "systems are monitored for what is out of order";
    SOC2_CC8_1 = Soc2 "CC8.1" "changes are authorised, tested and approved";
    NIST_AC_3 = Nist80053 "AC-3" "access is enforced";
    NIST_AC_4 = Nist80053 "AC-4" "information flows only where it may";
    NIST_AC_5 = Nist80053 "AC-5" "duties are separated";
    NIST_AU_3 = Nist80053 "AU-3" "audit records hold what, when, where, who and with which result";
    NIST_AU_5 = Nist80053 "AU-5" "failing audit raises an alert";
    NIST_AU_8 = Nist80053 "AU-8" "time stamps come from a known clock";
    NIST_AU_9 = Nist80053 "AU-9" "audit information is protected";
    NIST_AU_10 = Nist80053 "AU-10" "who did something cannot deny it";
    NIST_AU_11 = Nist80053 "AU-11" "audit records are kept as long as policy says";
    NIST_AU_12 = Nist80053 "AU-12" "the system generates audit records";
    NIST_CM_2_3 = Nist80053 "CM-2(3)" "previous configurations are kept";
    NIST_CM_3 = Nist80053 "CM-3" "changes are reviewed, approved and recorded";
    NIST_CM_4_2 = Nist80053 "CM-4(2)" "controls are verified after a change";
    NIST_CM_5 = Nist80053 "CM-5" "who may change is restricted";
    NIST_CM_6 = Nist80053 "CM-6" "settings are the documented, most restrictive ones";
    NIST_CM_7 = Nist80053 "CM-7" "only what is needed is enabled";
    NIST_CP_9 = Nist80053 "CP-9" "data can be restored";
    NIST_CP_10 = Nist80053 "CP-10" "a known state can be recovered";
    NIST_IA_3 = Nist80053 "IA-3" "devices and services prove who they are";
    NIST_SA_11 = Nist80053 "SA-11" "developers test, and show that they did";
    NIST_SC_5 = Nist80053 "SC-5" "denial of service is guarded against";
    NIST_SC_8 = Nist80053 "SC-8" "what is transmitted stays confidential and whole";
    NIST_SC_13 = Nist80053 "SC-13" "approved cryptography is used";
    NIST_SC_28 = Nist80053 "SC-28" "what is stored stays confidential and whole";
    NIST_SI_4 = Nist80053 "SI-4" "the system is monitored";
    NIST_SI_7 = Nist80053 "SI-7" "unwanted change of information is detected";
}

#[cfg(test)]
mod tests {
    use super::CONTROLS;

    #[test]
    fn each_is_there_once() {
        let mut names: Vec<String> = CONTROLS.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CONTROLS.len());
        assert!(names.contains(&"PCI DSS 6.5.1".to_owned()));
    }
}
