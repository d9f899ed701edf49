//! The C library's allocator.

/// Lets the allocator keep so many pools of freed memory, instead of eight for each core. Each pool keeps what was freed
/// in it; threads that wait for files and sockets hardly ever allocate at the same time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn limit_pools(pools: i32) {
    // SAFETY: the call sets a number in the allocator, under its lock. It can be made at any time.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, pools);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn limit_pools(_pools: i32) {}
