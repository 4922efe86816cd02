from icm.cli import main

raise SystemExit(main())
