//! What `help` shows at the end of each command's page. A test reads every line as the shell does.

pub(super) const CONNME: &str = "Examples:
  connme lab.example
  connme 192.0.2.7:4433
  connme lab               # a name of the configuration file";

pub(super) const BYEBYE: &str = "Examples:
  byebye";

pub(super) const QUIT: &str = "Examples:
  quit";

pub(super) const STATUS: &str = "Examples:
  status";

pub(super) const DOCTOR: &str = "Examples:
  doctor lab.example
  doctor lab --seconds 20 --file big.iso
  doctor --seconds 0       # no measurements";

pub(super) const HOSTS: &str = "Examples:
  hosts
  hosts add lab lab.example --start-dir /incoming --default
  hosts trust lab SHA256:NMKnzdI4Tr7rJG0e5MiEk6Lyo8zweOv7UKp5rV7nrKA
  hosts forget lab.example:4433
  hosts remove lab";

pub(super) const LS: &str = "Examples:
  ls
  ls -l photos
  ls 'logs/*.gz'";

pub(super) const SIZE: &str = "Examples:
  size photos notes.txt
  size 'logs/*.gz'";

pub(super) const RM: &str = "Examples:
  rm notes.txt 'old notes.txt'
  rm 'logs/*.gz'
  rm -r old";

pub(super) const UPLOAD: &str = "Examples:
  upload notes.txt
  upload notes.txt docs/today.txt
  upload *.jpg --to holiday
  upload -r site www --exclude '*.tmp' --exclude .git/
  upload -f notes.txt      # replaces what is there";

pub(super) const DOWNLOAD: &str = "Examples:
  download notes.txt
  download docs/notes.txt today.txt
  download 'logs/*.gz' --to logs
  download -r photos       # with all that is in it
  download notes.txt -     # to standard output";

pub(super) const STAT: &str = "Examples:
  stat photos/beach.jpg";

pub(super) const MKDIR: &str = "Examples:
  mkdir photos
  mkdir -p photos/2026/november";

pub(super) const MV: &str = "Examples:
  mv notes.txt today.txt
  mv today.txt archive/";

pub(super) const VERIFY: &str = "Examples:
  verify notes.txt docs/notes.txt";

pub(super) const HASH: &str = "Examples:
  hash backup.tar";

pub(super) const CD: &str = "Examples:
  cd photos
  cd ..
  cd";

pub(super) const PWD: &str = "Examples:
  pwd";

pub(super) const LLS: &str = "Examples:
  lls
  lls -la ~/Pictures";

pub(super) const LCD: &str = "Examples:
  lcd ~/Pictures";

pub(super) const LPWD: &str = "Examples:
  lpwd";

pub(super) const HELP: &str = "Examples:
  help
  help upload";
