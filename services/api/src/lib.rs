//! The api role: sign-in, camera list, updates, the page.
