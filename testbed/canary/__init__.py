"""Plants canary secrets and searches every channel through which they could leak."""
