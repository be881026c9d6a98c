//! Client of LiveKit: rooms, participants, tokens.
