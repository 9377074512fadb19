//! What a power cut must not take away. kill -9 proves nothing about syncing: the kernel keeps what
//! was written. So a real file system is shut down under the writer: what it has not synced is
//! gone.

use crate::mounts::{self, Mount, run};
use crate::{rows, writer};
use rand::RngExt;
use std::path::Path;
use std::process::Command;

const CUTS: u64 = 8;
const TEST: &str = "power::every_acknowledged_commit_survives_a_power_cut";
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: stops at once, without writing the file
/// system's journal.
const CUT: &str = "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), \
    0x8004587d, struct.pack('I', 2))";

fn cut_power(mount: &Path) {
    run(Command::new("python3").args(["-c", CUT]).arg(mount));
}

#[test]
fn every_acknowledged_commit_survives_a_power_cut() {
    writer::write_if_told();
    if !mounts::allowed(TEST) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk");
    std::fs::File::create(&image)
        .unwrap()
        .set_len(256 << 20)
        .unwrap();
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
    let mount = |image: &Path| {
        Mount::new(
            &dir.path().join("mount"),
            &["-o", "loop", &image.display().to_string()],
        )
    };
    let mut image = image;
    for cut in 0..CUTS {
        let disk = mount(&image);
        let mut writer = writer::Writer::start(TEST, &disk.path().join("data"));
        let last = writer.wait_for(rand::rng().random_range(1..600));
        cut_power(disk.path());
        // What is acknowledged from here on does not count: an fdatasync that runs during the ioctl
        // can return success without having written (seen with plain files), which no disk that
        // loses power does.
        writer.kill();
        disk.unmount();

        // What is on the disk, as another disk: a container that was started meanwhile may hold on
        // to the first one's mount.
        let after = dir.path().join(format!("disk{cut}"));
        run(Command::new("cp")
            .arg("--sparse=always")
            .args([&image, &after]));
        std::fs::remove_file(std::mem::replace(&mut image, after)).unwrap();
        let disk = mount(&image);
        let (store, ..) = rows::open(&disk.path().join("data"));
        writer::check(&store, Some(last));
        store.close();
        disk.unmount();
    }
}
