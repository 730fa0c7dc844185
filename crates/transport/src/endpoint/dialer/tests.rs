use super::*;

fn refused(code: u64) -> ConnectionLost {
    ConnectionLost::RefusedByPeer { code, reason: Text::default() }
}

#[test]
fn failures_are_sorted_by_whose_fault_they_are() {
    let none = |lost| failed(lost, None);
    assert!(matches!(none(ConnectionLost::TimedOut), DialError::NoAnswer));
    assert!(matches!(none(ConnectionLost::ClosedLocally), DialError::Closed));
    assert!(matches!(none(ConnectionLost::VersionMismatch), DialError::ProtocolMismatch(_)));
    assert!(matches!(none(refused(0x02)), DialError::Refused));
    assert!(matches!(none(refused(0x178)), DialError::ProtocolMismatch(_)), "alert 120");
    assert!(matches!(none(refused(0x133)), DialError::Handshake(_)), "alert 51");
    assert!(matches!(none(refused(0x01)), DialError::Handshake(_)));
}

#[test]
fn the_verifiers_verdict_comes_before_how_the_connection_ended() {
    let (a, b) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
    let unknown = failed(ConnectionLost::TimedOut, Some(&Verdict::Unknown(a)));
    assert!(matches!(unknown, DialError::UnknownServer(offered) if offered == a));
    let changed = failed(refused(0x02), Some(&Verdict::Changed { known: vec![a], offered: b }));
    assert!(
        matches!(&changed, DialError::ServerKeyChanged { known, offered } if *known == [a] && *offered == b)
    );
    assert!(unknown.is_identity() && changed.is_identity());
    assert!(matches!(failed(refused(0x133), Some(&Verdict::Match)), DialError::Handshake(_)));
}
