"""The journal on disk: what netwatch found, intended, did and undid, kept so that neither a crash nor a power cut loses an intent."""
