//! Media rooms: SDP, SRTP and RTP relay sessions.
