//! RFC 3261 section 16: the proxy core, dialogs and routing, without a socket.
