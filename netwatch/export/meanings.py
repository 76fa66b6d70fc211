"""What each failure mode means, in a sentence or two, for somebody who meets it for the first time at night."""

from netwatch.model.incident import Mode

MEANINGS: dict[Mode, str] = {
    Mode.TABLE_FULL: (
        "The firewall's state table has no room: packets of new sessions are dropped before any rule sees them, "
        "while sessions that already have an entry go on."
    ),
    Mode.SYN_FLOOD: (
        "SYNs that no final ACK ever follows hold an entry each until the half-open timeout, and crowd out the clients who mean it."
    ),
    Mode.ESTABLISHED_CREEP: (
        "Sessions whose peers vanished without FIN or RST stay established for days and cannot be evicted: "
        "the table fills although traffic does not grow."
    ),
    Mode.TIME_WAIT_PILEUP: (
        "Closed connections hold their entries for the TIME_WAIT timeout, and the packet path may not evict them: "
        "many short connections fill the table with sessions that are over."
    ),
    Mode.UDP_STATE_FLOOD: (
        "Each new pair of UDP addresses and ports holds an entry until its timeout, answered or not: queries at a high rate fill the table."
    ),
    Mode.ACK_FLOOD: (
        "ACKs that belong to no session: a loose firewall picks each up as a new session, a strict one spends its time refusing them."
    ),
    Mode.RST_FLOOD: "Resets that no peer meant: those inside the window end real sessions, the others cost the firewall a lookup each.",
    Mode.ASYMMETRIC_ROUTING: "The firewall sees only one direction of a conversation, cannot follow its state, and drops or forgets it.",
    Mode.IDLE_TIMEOUT_BLACKHOLE: (
        "The firewall forgot sessions that were idle but alive. Both ends still believe in them and send into nothing until they give up."
    ),
    Mode.FRAGMENT_EXHAUSTION: (
        "Fragments whose rest never comes hold reassembly memory until their timeout; "
        "when it is used up, honest datagrams cannot be put together either."
    ),
    Mode.RETRY_STORM: "After an outage everyone who failed comes back at once, often in step, and the rush can cause the next outage.",
    Mode.FAILOVER_WITHOUT_SYNC: (
        "The firewall lost its state table at once (a failover without synchronisation, a flush, a restart): "
        "sessions that were open belong to nothing, and a strict firewall drops their packets until both ends give up."
    ),
    Mode.SERVICE_SILENT: (
        "A service that used to complete handshakes completes none although clients ask: "
        "the way to it, the firewall or the service itself is broken."
    ),
}
