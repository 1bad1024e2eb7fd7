"""How people get in: sign-in by password, passkey or a provider, the second factor, and what a session may do.

backend     who a person is, and what their role lets them do in the administration
adapters    what django-allauth is told about this desk
middleware  what stands before every view: the second factor that is owed, and that auditors change nothing
urls        the addresses, under the names that allauth asks for
"""
