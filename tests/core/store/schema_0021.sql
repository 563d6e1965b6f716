CREATE SEQUENCE servings;
CREATE TABLE people (
	id SERIAL NOT NULL, 
	key TEXT COLLATE "C" NOT NULL, 
	locale TEXT COLLATE "C", 
	spoken TEXT COLLATE "C", 
	straying INTEGER DEFAULT '0' NOT NULL, 
	hint TEXT COLLATE "C", 
	show_mood BOOLEAN NOT NULL, 
	admitted BOOLEAN, 
	asked_at FLOAT DEFAULT '0' NOT NULL, 
	throttled_until FLOAT NOT NULL, 
	noticed_at FLOAT NOT NULL, 
	served INTEGER NOT NULL, 
	program TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (key)
);
CREATE INDEX people_served ON people (served);
CREATE TABLE tombstones (
	digest BYTEA NOT NULL, 
	forgotten_at FLOAT NOT NULL, 
	admitted BOOLEAN, 
	asked_at FLOAT NOT NULL, 
	throttled_until FLOAT NOT NULL, 
	noticed_at FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE stale_scopes (
	id SERIAL NOT NULL, 
	front TEXT COLLATE "C" NOT NULL, 
	scope TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE keys (
	id SERIAL NOT NULL, 
	name TEXT COLLATE "C" NOT NULL, 
	digest BYTEA NOT NULL, 
	scopes TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	revoked_at FLOAT, 
	used_at FLOAT, 
	per_minute INTEGER, 
	throttled_until FLOAT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
CREATE UNIQUE INDEX keys_live ON keys (name) WHERE revoked_at IS NULL;
CREATE TABLE installation (
	id SERIAL NOT NULL, 
	key BYTEA NOT NULL, 
	last_turn INTEGER NOT NULL, 
	checked_at FLOAT NOT NULL, 
	looked_at FLOAT DEFAULT '0' NOT NULL, 
	password TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE handoffs (
	id SERIAL NOT NULL, 
	person_id INTEGER NOT NULL, 
	conversation TEXT COLLATE "C" NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	locale TEXT COLLATE "C" NOT NULL, 
	desk TEXT COLLATE "C" NOT NULL, 
	thread TEXT COLLATE "C" NOT NULL, 
	state TEXT COLLATE "C" NOT NULL, 
	owner TEXT COLLATE "C" NOT NULL, 
	opened_at FLOAT NOT NULL, 
	due_at FLOAT NOT NULL, 
	taken_at FLOAT, 
	closed_at FLOAT, 
	ending TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person_id) REFERENCES people (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX handoffs_open ON handoffs (person_id, conversation) WHERE state <> 'closed';
CREATE INDEX handoffs_desk ON handoffs (desk, thread);
CREATE TABLE turns (
	id SERIAL NOT NULL, 
	person_id INTEGER NOT NULL, 
	front TEXT COLLATE "C" NOT NULL, 
	conversation TEXT COLLATE "C" NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	text TEXT COLLATE "C" NOT NULL, 
	locale TEXT COLLATE "C" DEFAULT 'en' NOT NULL, 
	sent_at FLOAT NOT NULL, 
	reference TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	quotes TEXT DEFAULT '[]' NOT NULL, 
	media TEXT DEFAULT '[]' NOT NULL, 
	again INTEGER DEFAULT '0' NOT NULL, 
	pieces TEXT DEFAULT '[]' NOT NULL, 
	opens TEXT DEFAULT '[]' NOT NULL, 
	state TEXT COLLATE "C" NOT NULL, 
	owner TEXT COLLATE "C" NOT NULL, 
	lease_until FLOAT NOT NULL, 
	leased_at FLOAT DEFAULT '0' NOT NULL, 
	not_before FLOAT DEFAULT '0' NOT NULL, 
	changed BOOLEAN DEFAULT '0' NOT NULL, 
	revised BOOLEAN DEFAULT '0' NOT NULL, 
	attempts INTEGER NOT NULL, 
	faults INTEGER DEFAULT '0' NOT NULL, 
	fault TEXT COLLATE "C" DEFAULT '' NOT NULL, 
	handle TEXT COLLATE "C" NOT NULL, 
	accepted_at FLOAT NOT NULL, 
	claimed_at FLOAT, 
	finished_at FLOAT, 
	seconds FLOAT, 
	first_piece FLOAT, 
	reply TEXT COLLATE "C", 
	source TEXT COLLATE "C", 
	finish TEXT COLLATE "C", 
	error TEXT COLLATE "C", 
	mood_label TEXT COLLATE "C", 
	mood_confidence FLOAT, 
	show_mood BOOLEAN, 
	cites TEXT COLLATE "C", 
	prompt_tokens INTEGER, 
	completion_tokens INTEGER, 
	cached_tokens INTEGER, 
	tokens INTEGER NOT NULL, 
	remembered BOOLEAN NOT NULL, 
	forgotten BOOLEAN DEFAULT false NOT NULL, 
	leaving BOOLEAN DEFAULT false NOT NULL, 
	handoff_id INTEGER, 
	at_desk BOOLEAN DEFAULT false NOT NULL, 
	choices TEXT DEFAULT '[]' NOT NULL, 
	suggestions TEXT DEFAULT '[]' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(person_id) REFERENCES people (id)
);
CREATE INDEX turns_person ON turns (person_id, id);
CREATE INDEX turns_remembered ON turns (conversation, person_id, id) WHERE remembered = true;
CREATE INDEX turns_handoff ON turns (handoff_id, id) WHERE handoff_id IS NOT NULL;
CREATE INDEX turns_open ON turns (front, state) WHERE state <> 'delivered';
CREATE INDEX turns_commands ON turns (text) WHERE source = 'command';
CREATE INDEX turns_measured ON turns (id) WHERE source = 'model' AND seconds >= 0;
CREATE INDEX turns_accepted ON turns (accepted_at);
CREATE INDEX turns_conversation ON turns (conversation, person_id, id);
CREATE INDEX turns_quoting ON turns (id) WHERE quotes <> '[]';
CREATE INDEX turns_dead ON turns (id) WHERE state = 'dead';
CREATE INDEX turns_open_theirs ON turns (person_id) WHERE state <> 'delivered';
CREATE INDEX turns_open_here ON turns (conversation, id) WHERE state <> 'delivered';
CREATE TABLE sessions (
	digest BYTEA NOT NULL, 
	key_id INTEGER, 
	opened_at FLOAT NOT NULL, 
	used_at FLOAT NOT NULL, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(key_id) REFERENCES keys (id) ON DELETE CASCADE
);
CREATE TABLE events (
	digest BYTEA NOT NULL, 
	seen_at FLOAT NOT NULL, 
	turn_id INTEGER, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE SET NULL
);
CREATE INDEX ix_events_turn_id ON events (turn_id);
CREATE INDEX ix_events_seen_at ON events (seen_at);
ALTER TABLE events ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE;
CREATE TABLE votes (
	turn_id INTEGER NOT NULL, 
	person_id INTEGER NOT NULL, 
	vote INTEGER NOT NULL, 
	cast_at FLOAT NOT NULL, 
	PRIMARY KEY (turn_id, person_id), 
	FOREIGN KEY(turn_id) REFERENCES turns (id) ON DELETE CASCADE, 
	FOREIGN KEY(person_id) REFERENCES people (id)
);
CREATE INDEX votes_person ON votes (person_id);
