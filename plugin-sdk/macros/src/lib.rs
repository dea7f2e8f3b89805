//! The export macro of the Sipward plugin SDK.
