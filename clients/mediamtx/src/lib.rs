//! Client of MediaMTX's control API.
