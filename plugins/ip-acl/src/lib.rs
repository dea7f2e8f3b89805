//! Sipward policy: ip-acl.
